"""``thirdsentry demo``: everything at once, on this machine alone."""

import os
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from thirdsentry_pipeline.cli.coverage_tables import CONTROL_HEADINGS, compact, framework_lines
from thirdsentry_pipeline.cli.marts import FRAMEWORKS, control_rows, rows_of
from thirdsentry_pipeline.cli.options import AsJson, UiPort
from thirdsentry_pipeline.cli.output import (
    messages,
    print_json,
    progress_lines,
    results,
    table_of,
)
from thirdsentry_pipeline.cli.report import write_report
from thirdsentry_pipeline.cli.sandbox import export_lines
from thirdsentry_pipeline.cli.serving import serve_until_interrupt
from thirdsentry_pipeline.cli.session import login_engine
from thirdsentry_pipeline.cli.sync_outcome import read_outcome
from thirdsentry_pipeline.local.database import database_for_command
from thirdsentry_pipeline.local.demo import DemoRun, run_demo
from thirdsentry_pipeline.local.demo_environment import applied, demo_environment
from thirdsentry_pipeline.local.processes import require_free_port
from thirdsentry_pipeline.local.sandbox_process import SandboxProcess
from thirdsentry_pipeline.settings import Settings
from thirdsentry_pipeline.warehouse.scope import organization_scope

ENVIRONMENT_FILE = "sandbox.env"


def demo(
    no_ui: Annotated[bool, typer.Option("--no-ui", help="End after the coverage tables.")] = False,
    port: UiPort = 3000,
    as_json: AsJson = False,
) -> None:
    """Show it all on this machine: AWS sandbox, three organizations, coverage, Dagster UI."""
    if not no_ui:
        require_free_port(port)
    report = progress_lines()
    home = Settings.from_environment().home
    with ExitStack() as stack:
        report("Starting the AWS sandbox on loopback")
        sandbox = stack.enter_context(SandboxProcess(home))
        stack.enter_context(applied(demo_environment(os.environ, sandbox.environment, home)))
        settings = Settings.from_environment()
        write_environment_file(home, sandbox.environment)
        report("Starting Postgres and migrating the warehouse")
        stack.enter_context(database_for_command(settings))
        runs = run_demo(settings, sandbox.admin, report)
        report("Done")
        show(settings, runs, as_json=as_json)
        for written in write_reports(settings, runs):
            messages().print(f"Report: {escape(str(written))}", soft_wrap=True)
        if not no_ui:
            shown = escape(str(home / ENVIRONMENT_FILE))
            messages().print(f"Another terminal reaches this sandbox after: . {shown}")
            serve_until_interrupt(settings, port, report)


def write_environment_file(home: Path, environment: dict[str, str]) -> None:
    """Leave what points a second terminal at the running sandbox; its keys open nothing else."""
    path = home / ENVIRONMENT_FILE
    path.write_text("\n".join(export_lines(environment)) + "\n", encoding="utf-8")


def write_reports(settings: Settings, runs: list[DemoRun]) -> list[Path]:
    """Write each organization's HTML report into ``<home>/reports``; the paths written."""
    folder = settings.home / "reports"
    folder.mkdir(exist_ok=True)
    with login_engine(settings, "pipeline") as engine:
        return [
            write_report(engine, run.organization_id, folder / f"{run.organization_id}.html").path
            for run in runs
        ]


def show(settings: Settings, runs: list[DemoRun], *, as_json: bool) -> None:
    """Print each organization's coverage, as tables or as one JSON document."""
    documents: list[dict[str, Any]] = []
    with login_engine(settings, "pipeline") as engine:
        for run in runs:
            with organization_scope(engine, run.organization_id) as connection:
                controls = control_rows(connection)
                frameworks = rows_of(connection, FRAMEWORKS)
            sync = read_outcome(settings, run.organization_id, run.dagster_run_id)
            documents.append(
                {
                    "organization_id": run.organization_id,
                    "name": run.name,
                    "sync": sync,
                    "frameworks": frameworks,
                    "controls": controls,
                }
            )
    if as_json:
        print_json({"organizations": documents})
        return
    for document in documents:
        show_organization(document)


def show_organization(document: dict[str, Any]) -> None:
    """One organization: its controls with reasons, then its frameworks."""
    console = results()
    console.print()
    title = f"{document['name']} ({document['organization_id']}): sync {document['sync']['status']}"
    console.print(table_of(title, CONTROL_HEADINGS, compact(document["controls"])))
    for line in framework_lines(document["frameworks"]):
        console.print(line)
