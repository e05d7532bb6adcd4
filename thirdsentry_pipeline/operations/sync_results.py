"""What a sync brought, in the contract's words. No secret and no payload is in it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from thirdsentry_pipeline.domain.evidence import ErrorCode, ReadStatus, Verdict
from thirdsentry_pipeline.domain.time import iso_z

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from thirdsentry_pipeline.domain.evidence import EvidenceType
    from thirdsentry_pipeline.warehouse.connections import Connection


class SyncStatus(StrEnum):
    """How far a sync, or one connection's part of it, got."""

    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    FAILED = "failed"

    @classmethod
    def of(cls, reads_ok: Iterable[bool]) -> SyncStatus:
        """``succeeded`` when all were read, ``failed`` when none was."""
        flags = list(reads_ok)
        if flags and all(flags):
            return cls.SUCCEEDED
        return cls.PARTIAL if any(flags) else cls.FAILED


@dataclass(frozen=True, slots=True)
class TypeResult:
    """One evidence type of one connection; ``fingerprint`` and ``is_new`` only when ok."""

    read_status: ReadStatus
    verdict: Verdict | None
    fingerprint: str | None
    is_new: bool
    error_code: ErrorCode | None
    regions_unread: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ConnectionSync:
    """One connection's run. ``evidence`` is empty when the account was not read at all.

    ``run_id`` is ``None`` when there is no run row: it could not be written, or the connection
    waits for ``next_attempt_at`` (UTC). ``seconds`` is the time from start to commit.
    """

    connection_id: UUID
    account_id: str
    run_id: UUID | None
    status: SyncStatus
    error_code: ErrorCode | None
    evidence: Mapping[EvidenceType, TypeResult]
    api_calls: int = 0
    throttles: int = 0
    seconds: float = 0.0
    next_attempt_at: datetime | None = None

    @classmethod
    def waiting(cls, connection: Connection) -> ConnectionSync:
        """A connection that was left alone: its role was refused, its next attempt is not due."""
        return cls(
            connection_id=connection.connection_id,
            account_id=connection.account_id,
            run_id=None,
            status=SyncStatus.FAILED,
            error_code=ErrorCode.ASSUME_ROLE_DENIED,
            evidence={},
            next_attempt_at=connection.next_attempt_at,
        )

    def sentence(self) -> str:
        """One line for a log: account, how it ended, what was not read and why."""
        if self.next_attempt_at is not None:
            return (
                f"account {self.account_id} not tried before {iso_z(self.next_attempt_at)}: its "
                "role did not open; `thirdsentry reauth` tries at once"
            )
        unread = ", ".join(
            f"{kind} {result.error_code}"
            for kind, result in self.evidence.items()
            if result.read_status is not ReadStatus.OK
        )
        reason = f" ({self.error_code})" if self.error_code and not unread else ""
        rest = f"; not read: {unread}" if unread else ""
        return (
            f"account {self.account_id} {self.status}{reason}: {self.api_calls} API calls in "
            f"{self.seconds:.1f} s{rest}"
        )


@dataclass(frozen=True, slots=True)
class OrganizationSync:
    """All live connections of an organization, in the order they were connected."""

    organization_id: str
    status: SyncStatus
    connections: Sequence[ConnectionSync]
    error_code: ErrorCode | None = None

    @classmethod
    def without_connections(cls, organization_id: str) -> OrganizationSync:
        """Nothing to read."""
        return cls(organization_id, SyncStatus.FAILED, (), ErrorCode.NO_LIVE_CONNECTION)

    @classmethod
    def of(cls, organization_id: str, outcomes: Sequence[ConnectionSync]) -> OrganizationSync:
        """Sum up: ``partial`` when something was read and something was not."""
        status = SyncStatus.of(
            read
            for outcome in outcomes
            for read in (
                [result.read_status is ReadStatus.OK for result in outcome.evidence.values()]
                or [False]
            )
        )
        return cls(organization_id, status, tuple(outcomes), _shared_error(outcomes))


def _shared_error(outcomes: Sequence[ConnectionSync]) -> ErrorCode | None:
    """The one error every connection ended with, if there is one."""
    codes = {outcome.error_code for outcome in outcomes}
    return codes.pop() if len(codes) == 1 else None
