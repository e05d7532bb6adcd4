"""``thirdsentry status``, ``coverage`` and ``evidence``: rows of the marts."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from sqlalchemy import Connection

from thirdsentry_pipeline.cli.coverage_tables import CONTROL_HEADINGS, framework_lines
from thirdsentry_pipeline.cli.marts import (
    FRAMEWORKS,
    FRESHNESS,
    HEALTH,
    REVOKED_EVIDENCE,
    Row,
    control_rows,
    known_frameworks,
    rows_of,
)
from thirdsentry_pipeline.cli.options import AsJson, OptionalOrganizationId, OrganizationId
from thirdsentry_pipeline.cli.output import results, show_rows
from thirdsentry_pipeline.cli.session import (
    login_engine,
    organization_names,
    require_organization,
    running_database,
)
from thirdsentry_pipeline.cli.views import ensure_views
from thirdsentry_pipeline.domain.errors import InputError
from thirdsentry_pipeline.domain.identifiers import parse_evidence_type, parse_organization_id
from thirdsentry_pipeline.warehouse.scope import organization_scope


@contextmanager
def marts_of(organization_id: str) -> Iterator[tuple[Connection, str]]:
    """The marts inside one organization's scope, and the organization's name."""
    with running_database() as settings, login_engine(settings, "pipeline") as engine:
        with organization_scope(engine, organization_id) as connection:
            name = require_organization(connection, organization_id)
        ensure_views(settings, engine)
        with organization_scope(engine, organization_id) as connection:
            yield connection, name


def status(organization: OptionalOrganizationId = None, as_json: AsJson = False) -> None:
    """Show each connection's health: last run, last good run, failures in a row."""
    only = None if organization is None else parse_organization_id(organization)
    rows: list[Row] = []
    with running_database() as settings, login_engine(settings, "pipeline") as engine:
        if only is not None:
            with organization_scope(engine, only) as connection:
                require_organization(connection, only)
        ensure_views(settings, engine)
        for organization_id in [only] if only else organization_names(settings, engine):
            with organization_scope(engine, organization_id) as connection:
                rows.extend(rows_of(connection, HEALTH))
    show_rows(
        rows,
        {
            "organization_id": "organization",
            "connection_id": "connection",
            "account_id": "account",
            "status": "status",
            "last_run_at": "last run",
            "last_run_status": "ended",
            "last_ok_at": "last good read",
            "consecutive_failures": "failures",
            "last_error_code": "error",
            "is_stale": "stale",
        },
        title="Connections",
        as_json=as_json,
        empty="There is no connection yet: start with `thirdsentry onboard`.",
    )


def coverage(
    organization: OrganizationId,
    framework: Annotated[
        str | None, typer.Option(metavar="F", help="Only this framework, such as soc2.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show each control's coverage, with the reason for every one that is not passing."""
    organization_id = parse_organization_id(organization)
    with marts_of(organization_id) as (connection, name):
        known = known_frameworks(connection)
        if framework is not None and framework not in known:
            message = f"There is no framework {framework!r}: there are {', '.join(known)}."
            raise InputError(message)
        rows = control_rows(connection, framework)
        summaries = rows_of(connection, FRAMEWORKS)
    show_rows(
        rows,
        CONTROL_HEADINGS,
        title=f"{name}: control coverage",
        as_json=as_json,
        empty="No control is mapped to evidence.",
    )
    if not as_json:
        shown = [row for row in summaries if framework in {None, row["framework"]}]
        for line in framework_lines(shown):
            results().print(line)


def evidence(
    organization: OrganizationId,
    evidence_type: Annotated[
        str | None, typer.Option("--type", metavar="T", help="Only this evidence type.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show each evidence type's freshness per account, and the history of revoked connections."""
    organization_id = parse_organization_id(organization)
    kind = None if evidence_type is None else parse_evidence_type(evidence_type).value
    with marts_of(organization_id) as (connection, name):
        rows = rows_of(connection, FRESHNESS, evidence_type=kind)
        rows += rows_of(connection, REVOKED_EVIDENCE, evidence_type=kind)
    show_rows(
        rows,
        {
            "account_id": "account",
            "evidence_type": "evidence",
            "evidence_status": "status",
            "last_ok_at": "last good read",
            "stale_at": "stale at",
            "last_attempt_status": "last attempt",
            "last_error_code": "error",
        },
        title=f"{name}: evidence",
        as_json=as_json,
        empty="There is no connection yet: start with `thirdsentry onboard`.",
    )
