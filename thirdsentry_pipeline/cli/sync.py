"""``thirdsentry sync``: today's evidence of one organization, through Dagster."""

from typing import Annotated, Any

import typer

from thirdsentry_pipeline.automation.launch import run_evidence_job
from thirdsentry_pipeline.cli.options import AsJson, OrganizationId
from thirdsentry_pipeline.cli.output import (
    messages,
    print_json,
    progress_lines,
    results,
    table_of,
)
from thirdsentry_pipeline.cli.session import login_engine, require_organization, running_database
from thirdsentry_pipeline.cli.sync_outcome import exit_code_of, read_outcome
from thirdsentry_pipeline.domain.errors import ThirdSentryError
from thirdsentry_pipeline.domain.evidence import EvidenceType
from thirdsentry_pipeline.domain.identifiers import (
    parse_day,
    parse_evidence_type,
    parse_organization_id,
    require_today,
    today,
)
from thirdsentry_pipeline.domain.time import utc_now
from thirdsentry_pipeline.local.quiet_job import quiet_job
from thirdsentry_pipeline.operations.database import require_prepared
from thirdsentry_pipeline.operations.services import platform_for
from thirdsentry_pipeline.operations.startup import require_true_time
from thirdsentry_pipeline.settings import Settings
from thirdsentry_pipeline.warehouse.connections import list_connections
from thirdsentry_pipeline.warehouse.scope import organization_scope


def sync(
    organization: OrganizationId,
    day: Annotated[
        str | None, typer.Option(metavar="YYYY-MM-DD", help="Today in UTC, the only day there is.")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(metavar="TYPE", help="An evidence type; may be repeated.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Collect today's evidence of one organization through Dagster."""
    organization_id = parse_organization_id(organization)
    types = tuple(dict.fromkeys(parse_evidence_type(slug) for slug in only or EvidenceType))
    wanted = today(utc_now) if day is None else parse_day(day)
    require_today(wanted, utc_now)
    report = progress_lines()
    with running_database() as settings:
        name = require_live_connection(settings, organization_id)
        require_true_time(require_prepared(settings), lambda: platform_for(settings))
        report(f"Collecting {len(types)} evidence types of {name} for {wanted}")
        with quiet_job(settings):
            dagster_run_id, _ = run_evidence_job(settings, organization_id, wanted, types)
        outcome = read_outcome(settings, organization_id, dagster_run_id)
    if as_json:
        print_json(outcome)
    else:
        show(outcome, name)
    code = exit_code_of(outcome)
    if code:
        raise typer.Exit(code)


def require_live_connection(settings: Settings, organization_id: str) -> str:
    """The organization's name; raises when it is unknown or has nothing to read."""
    with (
        login_engine(settings, "pipeline") as engine,
        organization_scope(engine, organization_id) as connection,
    ):
        name = require_organization(connection, organization_id)
        live = list_connections(connection, live_only=True)
    if not live:
        message = (
            f"Organization {organization_id} has no live connection (no_live_connection): "
            "connect an account with `thirdsentry connect`."
        )
        raise ThirdSentryError(message)
    return name


def show(outcome: dict[str, Any], name: str) -> None:
    """Print one table over all connections, and what to do about a connection that failed."""
    headings = {
        "account_id": "account",
        "evidence_type": "evidence",
        "read_status": "read",
        "verdict": "verdict",
        "is_new": "new",
        "error_code": "error",
        "regions_unread": "regions unread",
    }
    rows = [
        {"account_id": connection["account_id"], "evidence_type": kind, **read}
        for connection in outcome["connections"]
        for kind, read in connection["evidence"].items()
    ]
    results().print(table_of(f"{name}: {outcome['status']}", headings, rows))
    for connection in outcome["connections"]:
        if not connection["evidence"]:
            messages().print(
                f"Account {connection['account_id']} was not read: {connection['error_code']}. "
                f"`thirdsentry reauth` opens it again once its role does.",
                style="red",
            )
