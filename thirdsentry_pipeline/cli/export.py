"""``thirdsentry export``: coverage for other programs."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from thirdsentry_pipeline.cli.options import AsJson, OrganizationId
from thirdsentry_pipeline.cli.output import print_json, print_line
from thirdsentry_pipeline.cli.report import covered_organization
from thirdsentry_pipeline.domain.identifiers import parse_organization_id
from thirdsentry_pipeline.report.files import (
    writable_file,
    writable_folder,
    write_folder,
    write_whole,
)
from thirdsentry_pipeline.report.oscal import OSCAL_VERSION, assessment_results
from thirdsentry_pipeline.report.source import read_snapshot


class Format(StrEnum):
    """What an export can be."""

    OSCAL = "oscal"
    CSV = "csv"


def export(
    organization: OrganizationId,
    export_format: Annotated[
        Format,
        typer.Option("--format", help="OSCAL Assessment Results (JSON), or each mart as CSV."),
    ],
    out: Annotated[
        Path,
        typer.Option(
            metavar="PATH", help="oscal: a file. csv: a new folder, or a file ending in .zip."
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Write coverage as OSCAL Assessment Results, or the marts as CSV files."""
    organization_id = parse_organization_id(organization)
    write = write_oscal if export_format is Format.OSCAL else write_csv
    document: dict[str, object] = {
        "organization_id": organization_id,
        "format": export_format.value,
    }
    document |= write(organization_id, out)
    if as_json:
        print_json(document)
    else:
        print_line(f"Wrote {document['path']}.")


def write_oscal(organization_id: str, out: Path) -> dict[str, object]:
    """One JSON file; returns what ``--json`` says of it."""
    path = writable_file(out)
    with covered_organization(organization_id) as engine:
        snapshot = read_snapshot(engine, organization_id)
    text = json.dumps(assessment_results(snapshot), ensure_ascii=False, indent=2)
    write_whole(path, f"{text}\n".encode())
    return {
        "path": str(path),
        "generated_at": snapshot.taken_at,
        "oscal_version": OSCAL_VERSION,
        "findings": len(snapshot.controls),
    }


def write_csv(organization_id: str, out: Path) -> dict[str, object]:
    """A folder or archive of CSV files; returns what ``--json`` says of it."""
    is_archive = out.suffix.lower() == ".zip"
    path = writable_file(out) if is_archive else writable_folder(out)
    from thirdsentry_pipeline.report import marts  # noqa: PLC0415 - pandas loads in a second

    with covered_organization(organization_id) as engine:
        made = marts.read_marts(engine, organization_id)
    if is_archive:
        write_whole(path, marts.zipped(made))
    else:
        write_folder(path, made.files)
    return {"path": str(path), "generated_at": made.generated_at, "rows": made.rows}
