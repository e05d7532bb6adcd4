"""``thirdsentry retention``: deleting what an organization no longer keeps."""

import typer
from rich.markup import escape

from thirdsentry_pipeline.cli.options import AsJson, OptionalOrganizationId
from thirdsentry_pipeline.cli.output import messages, print_json, results, table_of
from thirdsentry_pipeline.cli.session import (
    login_engine,
    organization_names,
    require_organization,
    running_database,
)
from thirdsentry_pipeline.domain.identifiers import parse_organization_id
from thirdsentry_pipeline.operations.retention import PruneOutcome, prune_organizations
from thirdsentry_pipeline.warehouse.scope import organization_scope

COUNTS = ("observations", "evidence", "runs", "alerts", "audit_rows")

app = typer.Typer(help="Delete what is older than the organizations keep.", no_args_is_help=True)


@app.callback()
def retention() -> None:
    """Delete what is older than the organizations keep."""


@app.command("prune")
def prune(organization: OptionalOrganizationId = None, as_json: AsJson = False) -> None:
    """Delete beyond each organization's window (retention_days), with a checkpoint in its log.

    Kept: what an assessment holds, the newest reads, and whatever kept rows point to.
    """
    wanted = None if organization is None else parse_organization_id(organization)
    with running_database() as settings, login_engine(settings, "pipeline") as engine:
        if wanted is None:
            ids = list(organization_names(settings, engine))
        else:
            with organization_scope(engine, wanted) as connection:
                require_organization(connection, wanted)
            ids = [wanted]
        outcomes = prune_organizations(engine, ids)
    rows = [row_of(one) for one in outcomes]
    if as_json:
        print_json({"organizations": rows})
    else:
        headings = {"organization_id": "organization", **{name: name for name in COUNTS}}
        results().print(table_of("Deleted rows", headings, rows))
    failed = [one for one in outcomes if one.problem is not None]
    for one in failed:
        messages().print(escape(f"{one.organization_id}: {one.problem}"), style="red")
    if failed:
        raise typer.Exit(1)


def row_of(outcome: PruneOutcome) -> dict[str, str | int | None]:
    """One organization's counts; nothing where it could not be pruned."""
    return {
        "organization_id": outcome.organization_id,
        **{name: getattr(outcome.pruned, name, None) for name in COUNTS},
        "problem": outcome.problem,
    }
