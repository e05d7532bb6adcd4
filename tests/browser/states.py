"""Writes the report of every state of an organization into a folder: ``python … FOLDER``."""

import sys
from pathlib import Path

from tests.unit.report import snapshots
from thirdsentry_pipeline.report.model import build_report
from thirdsentry_pipeline.report.page import render

STATES = (
    snapshots.all_passing,
    snapshots.never_connected,
    snapshots.never_read,
    snapshots.all_revoked,
    snapshots.of_every_kind,
    snapshots.of_hostile_names,
)


def write_pages(folder: Path) -> list[Path]:
    """One page per state, named like it."""
    pages = []
    for state in STATES:
        page = folder / f"{state.__name__}.html"
        page.write_text(render(build_report(state())), encoding="utf-8")
        pages.append(page)
    return pages


if __name__ == "__main__":
    write_pages(Path(sys.argv[1]))
