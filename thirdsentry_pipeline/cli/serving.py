"""Serving the Dagster UI and daemon until Ctrl-C, for ``demo`` and ``up``."""

from collections.abc import Callable

from thirdsentry_pipeline.cli.output import messages
from thirdsentry_pipeline.local.dagster_server import dagster_server
from thirdsentry_pipeline.local.processes import HOST, wait_for_interrupt
from thirdsentry_pipeline.settings import Settings


def serve_until_interrupt(settings: Settings, port: int, report: Callable[[str], None]) -> None:
    """Start both, print the address, wait; everything is stopped when this returns."""
    report("Starting the Dagster UI and daemon")
    with dagster_server(settings, port) as children:
        messages().print(
            f"\n[bold]Dagster UI:[/bold] http://{HOST}:{port}   "
            "The daily schedule is on. Ctrl-C stops everything."
        )
        wait_for_interrupt(children.check)
        messages().print("Stopping.")
