"""The report as one HTML page that needs nothing else: no network, no scripts."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from thirdsentry_pipeline.domain.time import iso_z
from thirdsentry_pipeline.report.history import HEIGHT, WIDTH
from thirdsentry_pipeline.report.inert import inert
from thirdsentry_pipeline.report.words import counted, error_words, joined, percent, status_word

if TYPE_CHECKING:
    from thirdsentry_pipeline.report.model import Report

SYMBOLS = {
    "passing": "good",
    "pass": "good",
    "succeeded": "good",
    "active": "good",
    "failing": "bad",
    "fail": "bad",
    "failed": "bad",
    "critical": "bad",
    "missing": "missing",
    "not_authorized": "missing",
    "needs_reauth": "missing",
    "abandoned": "missing",
    "high": "missing",
    "stale": "stale",
    "partial": "stale",
    "pending": "pending",
    "running": "pending",
}
"""The shape and colour a status shares with others like it; the word always stands beside it."""

NEUTRAL = "neutral"


def render(report: Report) -> str:
    """The page; every text in it is escaped, and characters that hide are written out."""
    style = _stylesheet()
    digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return (
        _environment()
        .get_template("report.html")
        .render(
            report=report,
            snapshot=report.snapshot,
            style=Markup(style),  # noqa: S704 - our own file
            style_digest=digest,
            plot_width=WIDTH,
            plot_height=HEIGHT,
        )
    )


@cache
def _stylesheet() -> str:
    return files(__package__).joinpath("templates/report.css").read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("thirdsentry_pipeline.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_written,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "when": when,
        "exact": exact,
        "percent": percent,
        "status_word": status_word,
        "symbol": lambda status: SYMBOLS.get(status, NEUTRAL),
        "error_words": error_words,
        "joined": lambda texts, most: joined(list(texts), most),
    }
    environment.globals["counted"] = counted
    return environment


def _written(value: Any) -> Any:
    """What an expression writes: foreign text made inert; a forgotten None is our error."""
    if isinstance(value, Markup):
        return value
    if value is None or isinstance(value, bool):
        message = f"a template wrote {value!r} instead of words"
        raise TypeError(message)
    return inert(value) if isinstance(value, str) else value


def when(moment: datetime | None, never: str = "never") -> Markup:
    """A time (UTC) to the minute."""
    return _time(moment, "%Y-%m-%d %H:%M UTC", never)


def exact(moment: datetime | None, never: str = "never") -> Markup:
    """A time (UTC) as exactly as it is known, in ISO 8601."""
    return _time(moment, None, never)


def _time(moment: datetime | None, form: str | None, never: str) -> Markup:
    if moment is None:
        return escape(never)
    iso = iso_z(moment)
    shown = iso if form is None else moment.astimezone(UTC).strftime(form).replace(" ", "\u00a0")
    return Markup('<time datetime="{}">{}</time>').format(iso, shown)
