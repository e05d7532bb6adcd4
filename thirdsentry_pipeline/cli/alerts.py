"""``thirdsentry alerts``: what is open, what was, and one evaluation now."""

from dataclasses import asdict
from typing import Any

import typer
from rich.markup import escape

from thirdsentry_pipeline.cli.errors import FAILED
from thirdsentry_pipeline.cli.options import AsJson, OptionalOrganizationId
from thirdsentry_pipeline.cli.output import messages, print_json, print_line, show_rows
from thirdsentry_pipeline.cli.session import (
    login_engine,
    organization_names,
    require_organization,
    running_database,
)
from thirdsentry_pipeline.cli.views import build_views
from thirdsentry_pipeline.domain.identifiers import parse_organization_id
from thirdsentry_pipeline.domain.time import utc_now
from thirdsentry_pipeline.operations.alert_sinks import sinks_for
from thirdsentry_pipeline.operations.alerts import AlertEvaluation, evaluate_alerts
from thirdsentry_pipeline.operations.freshness import CoverageNotBuiltError
from thirdsentry_pipeline.operations.services import platform_for
from thirdsentry_pipeline.settings import Settings
from thirdsentry_pipeline.warehouse.alerts import RECENT, list_alerts
from thirdsentry_pipeline.warehouse.connections import list_connections
from thirdsentry_pipeline.warehouse.scope import organization_scope

app = typer.Typer(help="Show alerts; evaluate and deliver them now.", invoke_without_command=True)


@app.callback()
def alerts(
    context: typer.Context, organization: OptionalOrganizationId = None, as_json: AsJson = False
) -> None:
    """Show the open alerts, and those resolved within 30 days."""
    if context.invoked_subcommand is not None:
        return
    only = None if organization is None else parse_organization_id(organization)
    rows: list[dict[str, Any]] = []
    with running_database() as settings, login_engine(settings, "pipeline") as engine:
        for organization_id in [only] if only else organization_names(settings, engine):
            with organization_scope(engine, organization_id) as connection:
                require_organization(connection, organization_id)
                accounts = {one.connection_id: one for one in list_connections(connection)}
                for alert in list_alerts(connection, since=utc_now() - RECENT):
                    at = accounts[alert.connection_id] if alert.connection_id else None
                    state = "open" if alert.resolved_at is None else "resolved"
                    account_id = at.account_id if at else None
                    rows.append({**asdict(alert), "state": state, "account_id": account_id})
    show_rows(
        rows,
        {
            "organization_id": "organization",
            "state": "state",
            "kind": "kind",
            "account_id": "account",
            "evidence_type": "evidence",
            "opened_at": "opened",
            "resolved_at": "resolved",
            "notified_at": "sent",
            "last_delivery_error": "not sent because",
        },
        title="Alerts",
        as_json=as_json,
        empty="Nothing is wrong, as of the last evaluation: no open or recent alert.",
    )


@app.command()
def evaluate(as_json: AsJson = False) -> None:
    """Open, resolve and deliver alerts now, as the sensor does every minute."""
    with running_database() as settings:
        done = evaluate_now(settings)
    if as_json:
        print_json(done.document())
    else:
        print_line(f"{done.sentence} ({', '.join(done.sinks)})")
    for failure in done.errors:
        messages().print(escape(f"{failure.organization_id}: {failure.error}"), style="red")
    if done.errors:
        raise typer.Exit(FAILED)


def evaluate_now(settings: Settings) -> AlertEvaluation:
    """One evaluation of all organizations, with the coverage views built first if need be."""
    sinks = sinks_for(settings, platform_for(settings))
    with (
        login_engine(settings, "pipeline") as pipeline,
        login_engine(settings, "scheduler") as scheduler,
    ):
        try:
            return evaluate_alerts(pipeline, scheduler, sinks)
        except CoverageNotBuiltError:
            build_views(settings)
        return evaluate_alerts(pipeline, scheduler, sinks)
