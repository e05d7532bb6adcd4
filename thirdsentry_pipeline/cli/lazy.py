"""Commands that are imported when they are called, so that ``--help`` answers at once."""

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

COMMANDS = {
    "demo": ("demo:demo", "Show it all: a sandbox, three organizations, coverage, the Dagster UI."),
    "up": ("up:up", "Serve the Dagster UI and daemon on the warehouse, against real AWS."),
    "sandbox": ("sandbox:sandbox", "Serve the loopback AWS sandbox alone, until Ctrl-C."),
    "db": ("database:app", "Migrate, start, stop or address the warehouse's Postgres."),
    "organization": ("organizations:app", "Add and list organizations."),
    "onboard": ("onboarding:onboard", "Show what a customer sets up: external id and policies."),
    "connect": ("connections:connect", "Connect a customer's AWS account."),
    "reauth": ("connections:reauth", "Open a connection again, with stored or new values."),
    "revoke": ("connections:revoke", "End a connection; its history stays readable."),
    "sync": ("sync:sync", "Collect today's evidence of one organization through Dagster."),
    "status": ("coverage:status", "Show each connection's health."),
    "coverage": ("coverage:coverage", "Show each control's coverage, with the reason it lacks."),
    "evidence": ("coverage:evidence", "Show each evidence type's freshness and verdict."),
    "alerts": ("alerts:app", "Show alerts; evaluate and deliver them now."),
    "assessment": ("assessments:app", "Collect evidence into assessments and approve them."),
    "audit": ("audit:app", "Show an audit log, and verify the logs."),
    "keys": ("keys:app", "Rotate the keys that external ids are sealed with."),
    "retention": ("retention:app", "Delete what is older than the organizations keep."),
    "report": ("report:report", "Write coverage and its proof as one HTML file."),
    "export": ("export:export", "Write coverage as OSCAL Assessment Results or as CSV files."),
    "bi": ("bi:app", "Grant and revoke read-only logins for BI tools and auditors."),
    "doctor": ("doctor:doctor", "Check everything the pipeline leans on."),
}


class LazyGroup(TyperGroup):
    """A group that knows its commands' names and one-line helps, and imports one on call."""

    def __init__(self, **attributes: Any) -> None:
        attributes["commands"] = {
            name: TyperCommand(name, help=summary) for name, (_, summary) in COMMANDS.items()
        }
        super().__init__(**attributes)

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - typer's signature
        """The names in the order of the table: the order a newcomer meets them in."""
        return list(COMMANDS)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Typer's own resolution, with the placeholder replaced by the real command."""
        name, _, rest = super().resolve_command(ctx, args)
        return name, load(str(name)), rest


def load(name: str) -> Any:
    """Import and build one command by its name in COMMANDS."""
    module, attribute = COMMANDS[name][0].split(":")
    target = getattr(import_module(f"thirdsentry_pipeline.cli.{module}"), attribute)
    if not isinstance(target, typer.Typer):
        application = typer.Typer(add_completion=False)
        application.command(name)(target)
        target = application
    command = get_command(target)
    command.name = name
    return command
