"""How coverage looks on a terminal: controls with their reasons, frameworks as bars."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from itertools import groupby
from typing import Any

from rich.markup import escape

Row = Mapping[str, Any]

BAR_WIDTH = 20
CONTROL_HEADINGS = {
    "framework": "framework",
    "control_id": "control",
    "control_title": "title",
    "control_status": "status",
    "reason": "why",
}


def compact(rows: Iterable[Row]) -> list[Row]:
    """Every control that is not passing in a row of its own; a framework's passing ones in one."""
    compacted: list[Row] = []
    for framework, controls in groupby(rows, key=lambda row: row["framework"]):
        members = list(controls)
        compacted += [row for row in members if row["control_status"] != "passing"]
        passing = [row["control_id"] for row in members if row["control_status"] == "passing"]
        if passing:
            compacted.append(
                {
                    "framework": framework,
                    "control_id": f"{len(passing)} others",
                    "control_title": ", ".join(passing),
                    "control_status": "passing",
                    "reason": None,
                }
            )
    return compacted


def framework_lines(rows: Iterable[Row]) -> list[str]:
    """One line per framework: passing and covered, which are never mixed."""
    return [
        f"{escape(row['framework_name']):<48} {bar(row['passing_pct'])} "
        f"{percent(row['passing_pct'])} passing, {percent(row['covered_pct'])} covered "
        f"({row['controls_passing']} and {row['controls_covered']} of "
        f"{row['controls_applicable']} controls)"
        for row in rows
    ]


def percent(share: Decimal | None) -> str:
    """The share as the mart cut it; a dash when there is nothing to share in."""
    return "    -" if share is None else f"{share:>5}%"


def bar(share: Decimal | None) -> str:
    """A bar that is full only at 100."""
    filled = 0 if share is None else int(share * BAR_WIDTH / 100)
    return f"[green]{'█' * filled}[/green][dim]{'░' * (BAR_WIDTH - filled)}[/dim]"
