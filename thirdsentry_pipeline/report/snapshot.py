"""What a report and an export are made from: rows of one organization at one moment.

Times are aware and in UTC. Names of columns are those of the marts and of the warehouse.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime
    from decimal import Decimal
    from uuid import UUID


@dataclass(frozen=True, slots=True)
class Totals:
    """The organization on one line; a percentage is ``None`` while it has no denominator."""

    organization_name: str
    connections_live: int
    evidence_required: int
    evidence_fresh: int
    evidence_stale: int
    evidence_missing: int
    evidence_failing: int
    covered_pct: Decimal | None
    passing_pct: Decimal | None
    last_ok_at: datetime | None
    next_stale_at: datetime | None


@dataclass(frozen=True, slots=True)
class Framework:
    """One framework's counts; ``framework`` is its short name, such as ``soc2``."""

    framework: str
    framework_version: str
    framework_name: str
    publisher: str
    controls_total: int
    controls_applicable: int
    controls_covered: int
    controls_passing: int
    covered_pct: Decimal | None
    passing_pct: Decimal | None


@dataclass(frozen=True, slots=True)
class Control:
    """One control; ``evidence_types`` are those it needs from every live connection."""

    framework: str
    framework_version: str
    control_id: str
    control_title: str
    control_status: str
    is_covered: bool
    evidence_required: int
    evidence_fresh: int
    oldest_evidence_at: datetime | None
    next_stale_at: datetime | None
    evidence_types: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Evidence:
    """One evidence type of one live connection, and the read its status comes from.

    Everything from ``evidence_id`` on is ``None`` while there was no good read. ``run_id`` and
    ``observed_at`` are also ``None`` when that read is no longer kept. ``is_recomputed`` tells
    whether the fingerprint is the hash of what is stored. ``payload`` is without its findings.
    """

    connection_id: UUID
    account_id: str
    evidence_type: str
    evidence_title: str
    evidence_status: str
    is_fresh: bool
    last_ok_at: datetime | None
    stale_at: datetime
    last_attempt_at: datetime | None
    last_attempt_status: str | None
    last_error_code: str | None
    fingerprint: str | None
    evidence_id: UUID | None
    verdict: str | None
    payload: Mapping[str, Any] | None
    first_observed_at: datetime | None
    is_recomputed: bool | None
    run_id: UUID | None
    observed_at: datetime | None
    source_generated_at: datetime | None
    regions_unread: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Day:
    """One closed UTC day over all frameworks; not applicable controls are left out."""

    as_of_date: date
    controls_applicable: int
    controls_covered: int
    controls_passing: int


@dataclass(frozen=True, slots=True)
class MfaAccount:
    """Multi-factor authentication in one account; counts are ``None`` when never read well."""

    connection_id: UUID
    account_id: str
    root_mfa: str | None
    users_with_password: int | None
    users_with_mfa: int | None
    mfa_pct: Decimal | None
    report_generated_at: datetime | None
    is_fresh: bool
    last_ok_at: datetime | None


@dataclass(frozen=True, slots=True)
class MfaGap:
    """A console user without multi-factor authentication."""

    account_id: str
    user_name: str
    observed_at: datetime


@dataclass(frozen=True, slots=True)
class ThreatFinding:
    """An open GuardDuty finding of severity 7 and more."""

    account_id: str
    region: str
    finding_id: str
    finding_type: str
    severity: Decimal
    severity_label: str
    first_seen_at: datetime | None
    is_fresh: bool
    last_ok_at: datetime


@dataclass(frozen=True, slots=True)
class AccountConnection:
    """One connection and its health; ``deleted_at`` is when it was revoked."""

    connection_id: UUID
    account_id: str
    connector: str
    role_arn: str
    status: str
    connected_at: datetime
    deleted_at: datetime | None
    waived_region_reasons: Mapping[str, str]
    last_run_at: datetime | None
    last_run_status: str | None
    last_ok_at: datetime | None
    consecutive_failures: int | None
    last_error_code: str | None
    is_stale: bool


@dataclass(frozen=True, slots=True)
class Run:
    """A connector run whose reads are used, or the newest one of a connection."""

    run_id: UUID
    connection_id: UUID
    account_id: str
    dagster_run_id: str
    status: str
    error_code: str | None
    api_calls: int
    started_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class AuditChain:
    """The audit log's head, and what recomputing the chain found.

    ``seq`` is 0 while the log is empty; ``broken_seq`` and ``problem`` name the first wrong row.
    """

    rows: int
    first_seq: int
    seq: int
    row_hash: str
    occurred_at: datetime | None
    broken_seq: int | None
    problem: str | None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All of it. ``taken_at`` (UTC) is the moment every status holds at."""

    organization_id: str
    taken_at: datetime
    totals: Totals
    frameworks: tuple[Framework, ...]
    controls: tuple[Control, ...]
    evidence: tuple[Evidence, ...]
    history: tuple[Day, ...]
    mfa_accounts: tuple[MfaAccount, ...]
    mfa_gaps: tuple[MfaGap, ...]
    findings: tuple[ThreatFinding, ...]
    connections: tuple[AccountConnection, ...]
    runs: tuple[Run, ...]
    audit: AuditChain
