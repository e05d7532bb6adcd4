"""What an organization is told: which alerts opened and which resolved, in one message."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, Protocol

from thirdsentry_pipeline.domain.errors import ThirdSentryError
from thirdsentry_pipeline.domain.time import iso_z

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime, timedelta
    from uuid import UUID

FORMAT_VERSION = 1
LONGEST_LIST = 100
_MOST_LINES = 30
_MOST_TYPES = 3


class DeliveryError(ThirdSentryError):
    """A sink did not take a message; the text never holds the sink's address.

    ``retry_in`` is what the sink itself asked for, if it did.
    """

    def __init__(self, message: str, *, retry_in: timedelta | None = None) -> None:
        super().__init__(message)
        self.retry_in = retry_in


@dataclass(frozen=True, slots=True)
class AlertEntry:
    """One alert as a message tells it; times in UTC, ``resolved_at`` ``None`` while it is open."""

    alert_id: UUID
    kind: str
    connection_id: UUID | None
    account_id: str | None
    evidence_type: str | None
    opened_at: datetime
    resolved_at: datetime | None
    is_revoked: bool
    detail: Mapping[str, Any]

    @property
    def state(self) -> str:
        """``opened`` or ``resolved``; with the id it names a notification for good."""
        return "opened" if self.resolved_at is None else "resolved"

    def document(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "alert_id": str(self.alert_id),
            "state": self.state,
            "kind": self.kind,
            "connection_id": str(self.connection_id) if self.connection_id else None,
            "account_id": self.account_id,
            "evidence_type": self.evidence_type,
            "opened_at": iso_z(self.opened_at),
            "resolved_at": iso_z(self.resolved_at) if self.resolved_at else None,
            "is_revoked": self.is_revoked,
            "detail": dict(self.detail),
        }


@dataclass(frozen=True, slots=True)
class AlertMessage:
    """One organization's news of one evaluation."""

    organization_id: str
    organization_name: str
    entries: Sequence[AlertEntry]

    @property
    def opened(self) -> list[AlertEntry]:
        """The alerts that are open."""
        return [entry for entry in self.entries if entry.state == "opened"]

    @property
    def resolved(self) -> list[AlertEntry]:
        """The alerts that are over."""
        return [entry for entry in self.entries if entry.state == "resolved"]

    @property
    def message_id(self) -> str:
        """The same for the same news, so that a receiver can drop what it has seen."""
        told = sorted(f"{entry.alert_id} {entry.state}" for entry in self.entries)
        return hashlib.sha256("\n".join(told).encode()).hexdigest()

    @property
    def title(self) -> str:
        """One line: who, and how many."""
        counts = [
            f"{len(entries)} {'alert' if len(entries) == 1 else 'alerts'} {state}"
            for state, entries in (("opened", self.opened), ("resolved", self.resolved))
            if entries
        ]
        return f"ThirdSentry: {self.organization_name}: {', '.join(counts)}"

    @property
    def text(self) -> str:
        """For people: a line per account and kind, not per alert."""
        lines = [f"- {line}" for line in (*_lines(self, self.opened), *_lines(self, self.resolved))]
        if len(lines) > _MOST_LINES:
            rest = len(lines) - _MOST_LINES
            command = f"thirdsentry alerts --organization {self.organization_id}"
            lines = [*lines[:_MOST_LINES], f"- and {rest} more: `{command}`"]
        return "\n".join([self.title, *lines])

    def document(self) -> dict[str, Any]:
        """The JSON form for machines; lists are cut at ``LONGEST_LIST``, counts are not."""
        return {
            "source": "thirdsentry",
            "version": FORMAT_VERSION,
            "message_id": self.message_id,
            "organization_id": self.organization_id,
            "organization_name": self.organization_name,
            "opened_count": len(self.opened),
            "resolved_count": len(self.resolved),
            "opened": [entry.document() for entry in self.opened[:LONGEST_LIST]],
            "resolved": [entry.document() for entry in self.resolved[:LONGEST_LIST]],
        }


class AlertSink(Protocol):
    """Where messages go; ``name`` is stored with the alerts it took and shown to people."""

    @property
    def name(self) -> str:
        """A short word, the same in every process."""
        ...

    def send(self, message: AlertMessage) -> None:
        """Hand the message over, within seconds.

        Raises:
            DeliveryError: the sink did not take it, or did not say that it did.
        """
        ...


def _lines(message: AlertMessage, entries: Iterable[AlertEntry]) -> Iterator[str]:
    def place(entry: AlertEntry) -> tuple[str, str, str]:
        return entry.kind, entry.account_id or "", str(entry.connection_id)

    for _, group in groupby(sorted(entries, key=place), key=place):
        told = list(group)
        first = told[0]
        what = _ended(told) if first.resolved_at else _begun(message, told)
        yield f"{first.kind}: account {first.account_id}: {what}"


def _begun(message: AlertMessage, told: Sequence[AlertEntry]) -> str:
    first = told[0]
    if first.kind == "stale":
        reads = [entry.detail.get("last_ok_at") for entry in told]
        known = sorted(str(read) for read in reads if read)
        oldest = known[0] if len(known) == len(reads) else "never"
        return f"no fresh evidence of {_types(told)}; last good read: {oldest}"
    error = first.detail.get("error_code") or "no error code"
    if first.kind == "sync_failed":
        times = first.detail.get("consecutive_failures")
        return f"{times} syncs failed in a row, the last with {error}"
    command = (
        f"thirdsentry reauth --organization {message.organization_id}"
        f" --connection {first.connection_id}"
    )
    return f"its role does not open ({error}): `{command}`"


def _ended(told: Sequence[AlertEntry]) -> str:
    first = told[0]
    if first.is_revoked:
        end = "the connection was revoked"
    elif first.kind == "stale":
        end = f"fresh evidence of {_types(told)} again"
    elif first.kind == "sync_failed":
        end = "syncs bring evidence again"
    else:
        end = "its role opens again"
    since = min(entry.opened_at for entry in told)
    return f"{end}; it lasted since {iso_z(since.replace(microsecond=0))}"


def _types(told: Sequence[AlertEntry]) -> str:
    names = sorted(str(entry.evidence_type) for entry in told)
    shown = ", ".join(names[:_MOST_TYPES])
    rest = len(names) - _MOST_TYPES
    return f"{shown} and {rest} more" if rest > 0 else shown
