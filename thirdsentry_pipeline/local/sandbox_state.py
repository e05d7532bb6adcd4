"""What the sandbox knows beyond moto: sessions, root state, regions, findings, faults, calls.

Everything lives in memory behind one lock; the HTTP server answers each request in its own
thread. Times are aware UTC.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from thirdsentry_pipeline.local.sandbox_faults import Fault

DEFAULT_REGIONS = (
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ca-central-1",
    "eu-central-1",
    "eu-north-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
)
"""The regions AWS enables in every account of the commercial partition."""

OPT_IN_REGIONS = (
    "af-south-1",
    "ap-east-1",
    "ap-east-2",
    "ap-south-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-west-1",
    "eu-central-2",
    "eu-south-1",
    "eu-south-2",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "mx-central-1",
)
"""Regions an account must opt in to."""

PARTITION_REGIONS = {
    "aws-us-gov": ("us-gov-east-1", "us-gov-west-1"),
    "aws-cn": ("cn-north-1", "cn-northwest-1"),
}

_CALLS_KEPT = 200_000


def partition_of(region: str) -> str:
    """The partition a region belongs to."""
    for partition, regions in PARTITION_REGIONS.items():
        if region in regions:
            return partition
    return "aws"


@dataclass
class RootState:
    """The root user of one account; a new account has a password and no MFA, like at AWS.

    ``report_password_enabled`` overrides the word in the credential report's root row.
    """

    mfa_enabled: bool = False
    mfa_kind: str = "virtual"
    password_present: bool = True
    access_keys: int = 0
    report_password_enabled: str | None = None


@dataclass
class ReportState:
    """The credential report: ``polls`` unfinished answers come before the first ``COMPLETE``.

    ``age_seconds`` back-dates ``GeneratedTime``, as AWS serves a report for up to four hours.
    """

    polls: int = 1
    age_seconds: int = 0
    polled: int = 0
    started: bool = False
    generated_at: datetime | None = None
    content: bytes = b""


@dataclass
class Account:
    """State of one account that has no AWS API to set it."""

    account_id: str
    root: RootState = field(default_factory=RootState)
    report: ReportState = field(default_factory=ReportState)
    enabled_regions: tuple[str, ...] | None = None
    disabled_region_error: str = "OptInRequired"
    identity_account_id: str | None = None
    guardduty_administrators: dict[str, str] = field(default_factory=dict)
    findings: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    managed_policies_loaded: bool = False

    def regions(self, partition: str) -> tuple[str, ...]:
        """The regions that are enabled, of the given partition."""
        if partition != "aws":
            return PARTITION_REGIONS[partition]
        return DEFAULT_REGIONS if self.enabled_regions is None else self.enabled_regions


@dataclass
class RoleSession:
    """One assumed role; ``policy`` is the inline session policy as it was sent."""

    access_key_id: str
    account_id: str
    partition: str
    role_arn: str
    role_id: str
    session_name: str
    expires_at: datetime
    policy: str | None
    token: str = field(repr=False)
    secret: str = field(repr=False)

    @property
    def arn(self) -> str:
        """The ARN ``sts:GetCallerIdentity`` reports for this session."""
        role_name = self.role_arn.rsplit("/", 1)[-1]
        return (
            f"arn:{self.partition}:sts::{self.account_id}"
            f":assumed-role/{role_name}/{self.session_name}"
        )


class SandboxState:
    """All state of one sandbox; ``lock`` also guards moto, which is not thread-safe itself."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.released = threading.Event()
        self.clear()

    def clear(self) -> None:
        """Forget everything and let hanging requests go."""
        with self.lock:
            self.released.set()
            self.released = threading.Event()
            self.accounts: dict[str, Account] = {}
            self.sessions: dict[str, RoleSession] = {}
            self.faults: list[Fault] = []
            self.calls: deque[dict[str, Any]] = deque(maxlen=_CALLS_KEPT)

    def account(self, account_id: str) -> Account:
        """The account's state, made on first use."""
        with self.lock:
            return self.accounts.setdefault(account_id, Account(account_id))

    def clear_faults(self) -> None:
        """Remove every fault and let hanging requests go."""
        with self.lock:
            self.faults.clear()
            self.released.set()
            self.released = threading.Event()


def now() -> datetime:
    """The real time: the sandbox is a server of its own, like AWS."""
    return datetime.now(UTC)


def iso(moment: datetime) -> str:
    """``2026-01-05T09:00:00Z``; moto's naive datetimes are UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return aware.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
