"""What the commands print: results on stdout, progress and errors on stderr.

With ``--json`` stdout holds exactly one JSON document; times are ISO 8601 in UTC with ``Z``.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from thirdsentry_pipeline.domain.time import iso_z

PIPE_WIDTH = 200
COLORS = {
    "passing": "green",
    "pass": "green",
    "succeeded": "green",
    "active": "green",
    "ok": "green",
    "failing": "red",
    "fail": "red",
    "failed": "red",
    "denied": "red",
    "error": "red",
    "needs_reauth": "red",
    "missing": "red",
    "not_authorized": "red",
    "stale": "yellow",
    "partial": "yellow",
    "pending": "yellow",
    "revoked": "dim",
    "not_applicable": "dim",
}

Progress = Callable[[str], None]


def plain(value: Any) -> Any:
    """The JSON form of one value; raises TypeError for what has none."""
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, datetime):
        return iso_z(value)
    if isinstance(value, date | UUID):
        return str(value)
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    message = f"{type(value).__name__} has no JSON form"
    raise TypeError(message)


def print_json(document: Any) -> None:
    """Print the one JSON document of a command."""
    sys.stdout.write(json.dumps(document, default=plain, indent=2, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def print_line(text: str) -> None:
    """Print one undecorated line on stdout, for people and pipes alike."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def results() -> Console:
    """The console for results: stdout, wide when it is a pipe so that nothing is cut."""
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else PIPE_WIDTH
    return Console(file=sys.stdout, width=width, highlight=False)


def messages() -> Console:
    """The console for progress and errors: stderr."""
    return Console(file=sys.stderr, highlight=False, soft_wrap=True)


def progress_lines() -> Progress:
    """A reporter of steps: each on its own stderr line, with the seconds since the first."""
    console = messages()
    start = time.monotonic()

    def report(step: str) -> None:
        console.print(f"[dim]{time.monotonic() - start:5.1f}s[/dim]  {escape(step)}")

    return report


def cell(value: Any) -> str:
    """One table cell: states in their colour, nothing for None, times to the minute."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%MZ")
    if isinstance(value, list | tuple | set | frozenset):
        return escape(", ".join(str(item) for item in value))
    text = escape(str(value))
    color = COLORS.get(text)
    return f"[{color}]{text}[/{color}]" if color else text


def table_of(title: str, headings: Mapping[str, str], rows: Iterable[Mapping[str, Any]]) -> Table:
    """A table of rows; ``headings`` maps column names to what people read, in order."""
    table = Table(title=escape(title), title_justify="left", title_style="bold")
    shown = list(rows)
    for name, heading in headings.items():
        # Ids are there to be copied: on a narrow terminal the other columns fold first.
        ids = [len(str(row[name])) for row in shown if name.endswith("_id")]
        table.add_column(heading, overflow="fold", min_width=max(ids, default=None))
    for row in shown:
        table.add_row(*(cell(row[name]) for name in headings))
    return table


def show_rows(
    rows: Sequence[Mapping[str, Any]],
    headings: Mapping[str, str],
    *,
    title: str,
    as_json: bool,
    empty: str,
) -> None:
    """Print rows as one JSON list, or as a table (``empty`` when there are none)."""
    if as_json:
        print_json([dict(row) for row in rows])
    elif rows:
        results().print(table_of(title, headings, rows))
    else:
        messages().print(escape(empty))
