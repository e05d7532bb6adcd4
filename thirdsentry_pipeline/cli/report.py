"""``thirdsentry report``: one HTML file for people and auditors."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy import Engine

from thirdsentry_pipeline.cli.options import AsJson, OrganizationId
from thirdsentry_pipeline.cli.output import print_json, print_line
from thirdsentry_pipeline.cli.session import (
    login_engine,
    require_organization,
    running_database,
)
from thirdsentry_pipeline.cli.views import ensure_views
from thirdsentry_pipeline.domain.identifiers import parse_organization_id
from thirdsentry_pipeline.report.files import writable_file, write_whole
from thirdsentry_pipeline.report.model import build_report
from thirdsentry_pipeline.report.page import render
from thirdsentry_pipeline.report.snapshot import Snapshot
from thirdsentry_pipeline.report.source import read_snapshot
from thirdsentry_pipeline.warehouse.scope import organization_scope


def report(
    organization: OrganizationId,
    out: Annotated[Path, typer.Option(metavar="FILE.html", help="The file to write.")],
    as_json: AsJson = False,
) -> None:
    """Write one self-contained HTML file: coverage, its reasons, and how to check it."""
    organization_id = parse_organization_id(organization)
    path = writable_file(out)
    with covered_organization(organization_id) as engine:
        written = write_report(engine, organization_id, path)
    snapshot = written.snapshot
    if as_json:
        print_json(
            {
                "organization_id": organization_id,
                "path": str(path),
                "generated_at": snapshot.taken_at,
                "bytes": len(written.page),
                "sha256": hashlib.sha256(written.page).hexdigest(),
                "passing_pct": snapshot.totals.passing_pct,
                "covered_pct": snapshot.totals.covered_pct,
                "audit_seq": snapshot.audit.seq,
                "audit_row_hash": snapshot.audit.row_hash,
                "audit_problem": snapshot.audit.problem,
            }
        )
    else:
        print_line(f"Wrote {path}.")


@dataclass(frozen=True, slots=True)
class WrittenReport:
    """What a report was made of, its bytes, and where they are."""

    path: Path
    snapshot: Snapshot
    page: bytes


def write_report(engine: Engine, organization_id: str, path: Path) -> WrittenReport:
    """Read the marts in the organization's scope and write the page whole or not at all."""
    snapshot = read_snapshot(engine, organization_id)
    page = render(build_report(snapshot)).encode()
    write_whole(path, page)
    return WrittenReport(path, snapshot, page)


@contextmanager
def covered_organization(organization_id: str) -> Iterator[Engine]:
    """The pipeline's login, after checking that the organization and the views are there."""
    with running_database() as settings, login_engine(settings, "pipeline") as engine:
        with organization_scope(engine, organization_id) as connection:
            require_organization(connection, organization_id)
        ensure_views(settings, engine)
        yield engine
