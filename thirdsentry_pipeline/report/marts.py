"""The coverage marts as CSV files that a spreadsheet can't be tricked with."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import zipfile
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd
from sqlalchemy import text

from thirdsentry_pipeline.domain.time import iso_z
from thirdsentry_pipeline.report.source import at_one_moment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection, Engine

MARTS: Mapping[str, tuple[str, ...]] = {
    mart: tuple(columns.split())
    for mart, columns in {
        "organization_coverage": """organization_id organization_name connections_live
            evidence_required evidence_fresh evidence_stale evidence_missing evidence_failing
            covered_pct passing_pct last_ok_at next_stale_at""",
        "framework_coverage": """organization_id framework framework_version controls_total
            controls_applicable controls_covered controls_passing covered_pct passing_pct
            next_stale_at""",
        "control_coverage": """organization_id framework framework_version control_id
            control_title control_status is_covered evidence_required evidence_fresh
            evidence_failing evidence_stale evidence_missing oldest_evidence_at next_stale_at
            computed_at""",
        "evidence_freshness": """organization_id connection_id account_id connector evidence_type
            evidence_status is_fresh last_ok_at stale_at age_hours last_attempt_at
            last_attempt_status last_error_code fingerprint""",
        "connector_health": """organization_id connection_id account_id connector status
            last_run_at last_run_status last_ok_at consecutive_failures last_error_code
            is_stale""",
        "mfa_coverage": """organization_id connection_id account_id root_mfa users_with_password
            users_with_mfa mfa_pct report_generated_at is_fresh last_ok_at""",
        "mfa_gaps": "organization_id connection_id account_id user_name observed_at",
        "guardduty_findings": """organization_id connection_id account_id region finding_id
            finding_type severity severity_label first_seen_at is_fresh last_ok_at""",
        "coverage_daily": """as_of_date organization_id framework control_id control_status
            is_covered evidence_required evidence_fresh""",
    }.items()
}
"""Every public mart with its columns in the contract's order."""

FORMULA_STARTS = (*"=+-@\t\r\n＝＋－＠'",)  # noqa: RUF001 - the full-width forms are meant
"""Cells that begin like this get an apostrophe in front, which spreadsheets read as "text".

Spreadsheets run such cells as formulas, the full-width forms in some languages too. The
apostrophe itself is in the list so that taking a leading one away always restores the text.
"""

MANIFEST = "manifest.json"
"""The file that says when and of whom, and the rows and SHA-256 of each other file."""


@dataclass(frozen=True, slots=True)
class MartFiles:
    """All files of one export by name; ``rows`` counts those of each mart."""

    generated_at: datetime
    files: dict[str, bytes]
    rows: dict[str, int]


def read_marts(engine: Engine, organization_id: str) -> MartFiles:
    """Every mart at one moment, through the pipeline's login inside the organization's scope."""
    return at_one_moment(engine, organization_id, partial(_read, organization_id))


def _read(organization_id: str, connection: Connection, moment: datetime) -> MartFiles:
    files: dict[str, bytes] = {}
    rows: dict[str, int] = {}
    for mart, columns in MARTS.items():
        # The first columns are the key, so equal contents give equal files.
        query = text(f"select {', '.join(columns)} from coverage.{mart} order by 1, 2, 3, 4, 5")
        found = [dict(row) for row in connection.execute(query).mappings()]
        files[f"{mart}.csv"] = to_csv(columns, found)
        rows[mart] = len(found)
    files[MANIFEST] = _manifest(organization_id, moment, files, rows)
    return MartFiles(moment, files, rows)


def to_csv(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Rows as CSV in UTF-8: a header, every cell quoted, an empty one for an unknown value."""
    written = [{name: cell(row[name]) for name in columns} for row in rows]
    # Of objects, so that a column with unknown values does not turn whole numbers into fractions.
    frame = pd.DataFrame(written, columns=list(columns), dtype=object)
    table: str = frame.to_csv(index=False, quoting=csv.QUOTE_ALL, lineterminator="\n")
    return table.encode()


def cell(value: Any) -> Any:
    """One cell: times in ISO 8601 with ``Z``, ``true`` and ``false``, texts that are no formula."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return iso_z(value)
    if isinstance(value, str) and value.lstrip(" ").startswith(FORMULA_STARTS):
        return f"'{value}"
    return value


def _manifest(
    organization_id: str, moment: datetime, files: Mapping[str, bytes], rows: Mapping[str, int]
) -> bytes:
    document = {
        "organization_id": organization_id,
        "generated_at": iso_z(moment),
        "files": {
            name: {
                "rows": rows[name.removesuffix(".csv")],
                "sha256": hashlib.sha256(content).hexdigest(),
            }
            for name, content in files.items()
        },
    }
    return (json.dumps(document, indent=2) + "\n").encode()


def zipped(export: MartFiles) -> bytes:
    """The files as one archive; the same export always gives the same bytes."""
    archive = io.BytesIO()
    moment = export.generated_at.timetuple()[:6]
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in export.files.items():
            file.writestr(zipfile.ZipInfo(name, moment), content, zipfile.ZIP_DEFLATED)
    return archive.getvalue()
