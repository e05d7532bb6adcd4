"""How coverage looks on a terminal: controls with their reasons, frameworks as bars."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from rich.markup import escape

BAR_WIDTH = 20
CONTROL_HEADINGS = {
    "framework": "framework",
    "control_id": "control",
    "control_title": "title",
    "control_status": "status",
    "reason": "why",
}


def framework_lines(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """One line per framework: passing and covered, which are never mixed."""
    return [
        f"{escape(row['framework_name']):<44} {bar(row['passing_pct'])} "
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
