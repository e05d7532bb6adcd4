"""States, error codes, lengths of time and counts, in words."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from decimal import Decimal

NOT_YET_KNOWN = "not yet known"

CONTROL_ORDER = ("failing", "missing", "stale", "pending", "not_applicable", "passing")
"""Worst first."""

EVIDENCE_ORDER = (
    "fail",
    "not_authorized",
    "missing",
    "stale",
    "pending",
    "not_applicable",
    "pass",
)

STATUS_WORDS = {
    "failing": "Failing",
    "missing": "Missing",
    "stale": "Stale",
    "pending": "Pending",
    "not_applicable": "Not applicable",
    "passing": "Passing",
    "fail": "Fail",
    "pass": "Pass",
    "not_authorized": "Not authorized",
    "active": "Active",
    "needs_reauth": "Needs new access",
    "revoked": "Revoked",
    "running": "Running",
    "succeeded": "Succeeded",
    "partial": "In part",
    "failed": "Failed",
    "abandoned": "Abandoned",
    "critical": "Critical",
    "high": "High",
}

ERROR_WORDS = {
    "denied": "AWS denied the read",
    "denied_by_scp": "a policy of the AWS organization denied the read",
    "throttled": "AWS throttled the read",
    "not_ready": "AWS had not finished its own report",
    "transient": "AWS did not answer",
    "malformed": "the answer of AWS could not be understood",
    "bug": "the reader failed",
    "assume_role_denied": "the role did not open",
    "account_mismatch": "the role opened another account",
    "key_unavailable": "the key that seals the external id was not available",
    "revoked_during_run": "the connection was revoked during the run",
    "no_live_connection": "there was no live connection",
}


def status_word(status: str) -> str:
    """What people read for a status."""
    return STATUS_WORDS.get(status, status)


def error_words(code: str | None) -> str | None:
    """What happened, as a clause; None when nothing did."""
    return None if code is None else ERROR_WORDS.get(code, code)


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """``1 control``, ``2 controls``."""
    return f"{count} {noun if count == 1 else plural or noun + 's'}"


def percent(share: Decimal | None) -> str:
    """The share as the mart cut it; never a number while there is nothing to share in."""
    return NOT_YET_KNOWN if share is None else f"{share:.1f}%"


def length_of(duration: timedelta) -> str:
    """A length of time in its one or two largest units, cut and not rounded."""
    minutes = max(int(duration / timedelta(minutes=1)), 0)
    if minutes < 1:
        return "less than a minute"
    if minutes < 60:  # noqa: PLR2004 - minutes of an hour
        return counted(minutes, "minute")
    hours = minutes // 60
    if hours < 48:  # noqa: PLR2004 - below two days hours are what the limit counts in
        return counted(hours, "hour")
    days, rest = divmod(hours, 24)
    return counted(days, "day") + (f" {counted(rest, 'hour')}" if rest and days < 10 else "")  # noqa: PLR2004 - beyond, hours are noise


def joined(texts: list[str], most: int) -> str:
    """The first few of a list, and how many more there are."""
    shown = ", ".join(texts[:most])
    return shown if len(texts) <= most else f"{shown} and {len(texts) - most} more"


def sentence(clause: str) -> str:
    """The clause with a capital and a full stop."""
    text = clause[:1].upper() + clause[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."
