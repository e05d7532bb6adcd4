"""``thirdsentry assessment``: evidence collected into a draft, and frozen by approval."""

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated
from uuid import UUID

import typer
from sqlalchemy import Connection

from thirdsentry_pipeline.cli.options import AsJson, OrganizationId
from thirdsentry_pipeline.cli.output import print_json, print_line, results, show_rows, table_of
from thirdsentry_pipeline.cli.session import login_engine, require_organization, running_database
from thirdsentry_pipeline.domain.errors import InputError
from thirdsentry_pipeline.domain.identifiers import (
    parse_assessment_id,
    parse_evidence_reference,
    parse_organization_id,
)
from thirdsentry_pipeline.warehouse import assessments
from thirdsentry_pipeline.warehouse.audit import SYSTEM_ACTOR
from thirdsentry_pipeline.warehouse.scope import organization_scope

TEXT_LENGTH = 200
HELD = {
    "evidence_type": "evidence",
    "account_id": "account",
    "verdict": "verdict",
    "first_observed_at": "first observed",
    "attached_at": "attached",
    "attached_by": "by",
    "fingerprint": "fingerprint",
}

AssessmentId = Annotated[
    str, typer.Option("--assessment", metavar="ID", help="Assessment id, as `create` shows it.")
]
By = Annotated[
    str | None, typer.Option("--by", metavar="NAME", help="Who does it; default: this user's name.")
]

app = typer.Typer(help="Collect evidence into assessments and approve them.", no_args_is_help=True)


@app.command()
def create(
    organization: OrganizationId,
    title: Annotated[str, typer.Option(help='Such as "SOC 2, first half of 2026".')],
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Open a draft."""
    organization_id = parse_organization_id(organization)
    title = parse_text(title, "--title")
    actor = actor_of(by)
    with scope_of(organization_id) as c:
        made = require(c, assessments.create_assessment(c, title, actor=actor))
    show_assessment(made, as_json=as_json)


@app.command()
def attach(
    *,
    organization: OrganizationId,
    assessment: AssessmentId,
    evidence: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="Evidence id or fingerprint; may be repeated."),
    ] = None,
    newest: Annotated[
        bool, typer.Option("--newest", help="What each live connection's last good reads proved.")
    ] = False,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Attach evidence to a draft; attaching it again changes nothing."""
    organization_id = parse_organization_id(organization)
    assessment_id = parse_assessment_id(assessment)
    references = [parse_evidence_reference(one) for one in evidence or ()]
    if bool(references) is newest:
        message = "Name evidence with --evidence, or take the newest of all with --newest."
        raise InputError(message)
    actor = actor_of(by)
    with scope_of(organization_id) as c:
        ids = assessments.newest_evidence(c) if newest else assessments.find_evidence(c, references)
        assessments.attach(c, assessment_id, ids, actor=actor)
        held = require(c, assessment_id)
    show_assessment(held, as_json=as_json)


@app.command()
def approve(
    organization: OrganizationId, assessment: AssessmentId, by: By = None, as_json: AsJson = False
) -> None:
    """Freeze an assessment and what it holds; there is no way back."""
    organization_id = parse_organization_id(organization)
    assessment_id = parse_assessment_id(assessment)
    actor = actor_of(by)
    with scope_of(organization_id) as c:
        assessments.approve(c, assessment_id, actor=actor)
        approved = require(c, assessment_id)
    show_assessment(approved, as_json=as_json)


@app.command()
def show(organization: OrganizationId, assessment: AssessmentId, as_json: AsJson = False) -> None:
    """Show an assessment with the evidence it holds."""
    organization_id = parse_organization_id(organization)
    assessment_id = parse_assessment_id(assessment)
    with scope_of(organization_id) as c:
        found = require(c, assessment_id)
    show_assessment(found, as_json=as_json)


@app.command("list")
def list_assessments(organization: OrganizationId, as_json: AsJson = False) -> None:
    """List an organization's assessments, newest first."""
    organization_id = parse_organization_id(organization)
    with scope_of(organization_id) as c:
        found = assessments.list_assessments(c)
    show_rows(
        [{"assessment_id": key, "title": title, "status": state} for key, title, state in found],
        {"assessment_id": "assessment", "title": "title", "status": "status"},
        title="Assessments",
        as_json=as_json,
        empty="There is no assessment yet: open one with `thirdsentry assessment create`.",
    )


@contextmanager
def scope_of(organization_id: str) -> Iterator[Connection]:
    """A transaction inside an organization that exists."""
    with (
        running_database() as settings,
        login_engine(settings, "pipeline") as engine,
        organization_scope(engine, organization_id) as connection,
    ):
        require_organization(connection, organization_id)
        yield connection


def require(c: Connection, assessment_id: UUID) -> assessments.Assessment:
    """The assessment; raises InputError when the organization has none with that id."""
    found = assessments.get_assessment(c, assessment_id)
    if found is None:
        message = f"The organization has no assessment {assessment_id}."
        raise InputError(message)
    return found


def show_assessment(shown: assessments.Assessment, *, as_json: bool) -> None:
    """Print an assessment: one JSON document, or a line and the table of what it holds."""
    if as_json:
        print_json(shown)
        return
    approval = f", approved by {shown.approved_by}" if shown.approved_by else ""
    print_line(f"{shown.assessment_id}  {shown.title}  ({shown.status}{approval})")
    if shown.evidence:
        rows = [{name: getattr(one, name) for name in HELD} for one in shown.evidence]
        results().print(table_of("Evidence it holds", HELD, rows))


def parse_text(text: str, option: str) -> str:
    """The text without surrounding blanks; raises InputError when it can't be shown."""
    stripped = text.strip()
    if not stripped or len(stripped) > TEXT_LENGTH or not stripped.isprintable():
        message = f"{option} needs 1 to {TEXT_LENGTH} printable characters."
        raise InputError(message)
    return stripped


def actor_of(by: str | None) -> str:
    """Who acts: the name given, or the operating system's for this user."""
    if by is not None:
        return parse_text(by, "--by")
    try:
        return parse_text(getpass.getuser(), "--by")
    except (OSError, KeyError, InputError):
        return SYSTEM_ACTOR
