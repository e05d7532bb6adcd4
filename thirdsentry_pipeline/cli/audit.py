"""``thirdsentry audit``: an organization's log, and whether it is still what was written."""

from typing import Annotated, Any

import typer
from rich.markup import escape
from sqlalchemy import Engine

from thirdsentry_pipeline.aws.anchors import SETTING, AnchorBucket
from thirdsentry_pipeline.cli.options import AsJson, OptionalOrganizationId, OrganizationId
from thirdsentry_pipeline.cli.output import messages, print_json, results, show_rows, table_of
from thirdsentry_pipeline.cli.session import (
    login_engine,
    organization_names,
    require_organization,
    running_database,
)
from thirdsentry_pipeline.domain.errors import ThirdSentryError
from thirdsentry_pipeline.domain.identifiers import parse_organization_id
from thirdsentry_pipeline.operations.audit import (
    Verification,
    broken_sentence,
    verify_organization,
)
from thirdsentry_pipeline.operations.services import platform_for
from thirdsentry_pipeline.settings import Settings
from thirdsentry_pipeline.warehouse.audit import read_log
from thirdsentry_pipeline.warehouse.scope import organization_scope

NOT_COMPARED = (
    f"The logs were not compared with anchors: {SETTING} is not set. Who rewrites a whole log as "
    "superuser is found by anchors only."
)

app = typer.Typer(help="Show an audit log, and verify the logs.", no_args_is_help=True)


@app.command()
def log(
    organization: OrganizationId,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Only the newest N rows.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the audit log of an organization, oldest row first."""
    organization_id = parse_organization_id(organization)
    with (
        running_database() as settings,
        login_engine(settings, "pipeline") as engine,
        organization_scope(engine, organization_id) as connection,
    ):
        name = require_organization(connection, organization_id)
        rows = [dict(row) for row in reversed(read_log(connection, limit=limit))]
    shown = rows if as_json else [row | {"detail": words_of(row["detail"])} for row in rows]
    show_rows(
        shown,
        {
            "seq": "seq",
            "occurred_at": "at",
            "action": "action",
            "actor": "by",
            "db_user": "login",
            "detail": "detail",
        },
        title=f"{name}: audit log",
        as_json=as_json,
        empty="The audit log is empty.",
    )


def words_of(detail: dict[str, Any]) -> str:
    """A row's detail in one line; what holds no value is left out."""
    return ", ".join(f"{name} {value}" for name, value in detail.items() if value is not None)


@app.command()
def verify(organization: OptionalOrganizationId = None, as_json: AsJson = False) -> None:
    """Recompute the hash chains, and compare them with the anchors in S3.

    Fails when a log is not what was written, or when it could not be compared though
    THIRDSENTRY_ANCHOR_BUCKET is set.
    """
    wanted = None if organization is None else parse_organization_id(organization)
    with running_database() as settings, login_engine(settings, "pipeline") as engine:
        bucket = bucket_of(settings)
        anchored, bucket_problem = (set(), None) if wanted else anchored_ids(bucket)
        ids = ids_to_verify(settings, engine, wanted, anchored)
        found = [verify_organization(engine, one, bucket) for one in ids]
    broken = [one for one in found if not one.chain.is_intact]
    unheld = [one.anchor_problem for one in found if one.anchor_problem is not None]
    problems = [
        *(broken_sentence(one.organization_id, one.chain) for one in broken),
        *dict.fromkeys([bucket_problem] if bucket_problem else unheld),
    ]
    show_verifications(found, None if bucket is None else bucket.name, as_json=as_json)
    if bucket is None:
        messages().print(escape(NOT_COMPARED), style="yellow")
    for problem in problems:
        messages().print(escape(problem), style="red")
    if problems:
        raise typer.Exit(1)


def bucket_of(settings: Settings) -> AnchorBucket | None:
    """The bucket with the anchors, if one is configured."""
    if settings.anchor_bucket is None:
        return None
    return AnchorBucket(platform_for(settings).client("s3"), settings.anchor_bucket)


def anchored_ids(bucket: AnchorBucket | None) -> tuple[set[str], str | None]:
    """Organizations that have anchors, and the sentence for why they are not known."""
    if bucket is None:
        return set(), None
    try:
        return set(bucket.organization_ids()), None
    except ThirdSentryError as error:
        return set(), str(error)


def ids_to_verify(
    settings: Settings, engine: Engine, wanted: str | None, anchored: set[str]
) -> list[str]:
    """The one that is wanted, or all; one that only the anchors still know is not left out."""
    if wanted is None:
        return sorted(anchored | set(organization_names(settings, engine)))
    with organization_scope(engine, wanted) as connection:
        require_organization(connection, wanted)
    return [wanted]


def show_verifications(found: list[Verification], bucket: str | None, *, as_json: bool) -> None:
    """Print what was found: one JSON document, or a table."""
    rows = [
        {
            "organization_id": one.organization_id,
            "is_intact": one.chain.is_intact,
            "first_seq": one.chain.first_seq,
            "last_seq": one.chain.seq,
            "rows": one.chain.rows,
            "anchors_compared": one.anchors,
            "broken_seq": one.chain.broken_seq,
            "problem": one.chain.problem,
            "anchor_problem": one.anchor_problem,
        }
        for one in found
    ]
    if as_json:
        is_intact = all(one.chain.is_intact for one in found)
        print_json({"is_intact": is_intact, "anchor_bucket": bucket, "organizations": rows})
        return
    headings = {
        "organization_id": "organization",
        "is_intact": "intact",
        "rows": "rows",
        "last_seq": "through row",
        "anchors_compared": "anchors",
        "broken_seq": "broken at",
        "problem": "what is wrong there",
    }
    results().print(table_of("Audit logs", headings, rows))
