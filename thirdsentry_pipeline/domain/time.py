"""The clock and the one way times are written."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeAlias

Clock: TypeAlias = Callable[[], datetime]
"""Gives the current time, aware and in UTC; injected so that tests can freeze it."""


def utc_now() -> datetime:
    """The real clock."""
    return datetime.now(UTC)


def iso_z(moment: datetime) -> str:
    """Write an aware time as ISO 8601 in UTC with ``Z``, fractions only when there are any.

    Raises:
        ValueError: the time is naive, so its zone would be a guess.
    """
    if moment.utcoffset() is None:
        message = f"a time without a zone can't be written as UTC: {moment!r}"
        raise ValueError(message)
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
