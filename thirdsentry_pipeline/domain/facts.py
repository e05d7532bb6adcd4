"""Facts: what AWS answered, parsed and typed, before anything is judged.

A fact that could not be read is an :class:`Unread`, never an empty list: an empty list
is a claim ("there are none"), and only a complete read may make it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar

if TYPE_CHECKING:
    from datetime import datetime

    from thirdsentry_pipeline.domain.evidence import ErrorCode

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Unread:
    """A read that failed: why, and at which API action, such as ``iam:ListUsers``."""

    code: ErrorCode
    action: str


Fact: TypeAlias = T | Unread
"""Either the value that was read or the record of why it was not."""


@dataclass(frozen=True, slots=True)
class RegionScope:
    """The regions a regional type must cover.

    ``in_scope`` is sorted and leaves out ``waived`` ones and those AWS answered as disabled.
    ``kind`` is ``enabled`` when ``ec2:DescribeRegions`` answered, ``assumed`` when the list
    comes from the partition's endpoint data because that call was denied.
    """

    in_scope: tuple[str, ...]
    waived: tuple[str, ...] = ()
    kind: Literal["enabled", "assumed"] = "enabled"


# --- IAM ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CredentialReportRow:
    """One user of the credential report.

    ``password_enabled`` keeps the report's own word: ``true``, ``false``, ``not_supported`` or
    ``no_information``.
    """

    user: str
    arn: str
    password_enabled: str
    mfa_active: bool
    access_key_1_active: bool
    access_key_2_active: bool


@dataclass(frozen=True, slots=True)
class CredentialReport:
    """The report at ``generated_at`` (UTC): the root row and everyone else."""

    generated_at: datetime
    root: CredentialReportRow | None
    users: tuple[CredentialReportRow, ...]


@dataclass(frozen=True, slots=True)
class AccountSummary:
    """The members of ``iam:GetAccountSummary`` we use; ``None`` where AWS left one out."""

    mfa_enabled: bool | None
    password_present: bool | None
    access_keys_present: bool | None


@dataclass(frozen=True, slots=True)
class RootMfaFacts:
    """``virtual_mfa_user_arns``: ``User.Arn`` of every assigned virtual MFA device."""

    account_id: str
    partition: str
    summary: Fact[AccountSummary]
    report: Fact[CredentialReport]
    virtual_mfa_user_arns: Fact[tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class IamUser:
    """A user as the fallback (``ListUsers``, ``GetLoginProfile``, ``ListMFADevices``) sees it."""

    name: str
    has_password: bool
    has_mfa: bool


@dataclass(frozen=True, slots=True)
class MfaCoverageFacts:
    """``fallback_users`` is ``None`` when the report was read and the fallback never tried."""

    report: Fact[CredentialReport]
    fallback_users: Fact[tuple[IamUser, ...]] | None = None


@dataclass(frozen=True, slots=True)
class PasswordPolicy:
    """``iam:GetAccountPasswordPolicy``; every member may be absent from the answer."""

    minimum_length: int | None = None
    reuse_prevention: int | None = None
    max_age_days: int | None = None
    require_symbols: bool = False
    require_numbers: bool = False
    require_uppercase: bool = False
    require_lowercase: bool = False


@dataclass(frozen=True, slots=True)
class PasswordPolicyFacts:
    """``policy`` is ``None`` when AWS answered ``NoSuchEntity``: there is none."""

    policy: Fact[PasswordPolicy | None]


# --- CloudTrail -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EventSelector:
    """One basic selector, or the ``readOnly`` meaning of one advanced management selector.

    ``read_write`` is ``All``, ``ReadOnly`` or ``WriteOnly``; ``management`` says whether it
    records management events at all; ``excluded_sources`` is sorted. ``narrowed`` is true when
    other field selectors restrict an advanced selector to a part of the management events.
    """

    management: bool
    read_write: Literal["All", "ReadOnly", "WriteOnly"]
    excluded_sources: tuple[str, ...] = ()
    narrowed: bool = False


@dataclass(frozen=True, slots=True)
class TrailStatus:
    """``cloudtrail:GetTrailStatus`` of one trail; times in UTC."""

    is_logging: bool
    latest_delivery_at: datetime | None = None
    latest_delivery_error: str | None = None


@dataclass(frozen=True, slots=True)
class Trail:
    """One trail, deduplicated by ARN, with what its home region said about it."""

    arn: str
    home_region: str
    is_multi_region: bool
    is_organization_trail: bool
    log_file_validation: bool
    has_kms_key: bool
    status: Fact[TrailStatus]
    selectors: Fact[tuple[EventSelector, ...]]


@dataclass(frozen=True, slots=True)
class CloudTrailFacts:
    """``regions``: outcome of ``DescribeTrails`` per in-scope region (``None`` = answered)."""

    scope: Fact[RegionScope]
    regions: dict[str, Unread | None]
    trails: tuple[Trail, ...]


# --- S3 -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PublicAccessBlock:
    """The four flags of ``s3control:GetPublicAccessBlock``; a missing flag is false."""

    block_public_acls: bool = False
    ignore_public_acls: bool = False
    block_public_policy: bool = False
    restrict_public_buckets: bool = False


@dataclass(frozen=True, slots=True)
class PublicAccessBlockFacts:
    """``block`` is ``None`` when AWS answered ``NoSuchPublicAccessBlockConfiguration``."""

    block: Fact[PublicAccessBlock | None]


# --- GuardDuty ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Detector:
    """The region's detector; ``administrator_account_id`` is ``None`` when it has none."""

    detector_id: str
    enabled: bool
    administrator_account_id: str | None = None


@dataclass(frozen=True, slots=True)
class GuardDutyStatusFacts:
    """``regions``: per in-scope region its detector, ``None`` (absent) or why it is unread."""

    scope: Fact[RegionScope]
    regions: dict[str, Fact[Detector | None]]


@dataclass(frozen=True, slots=True)
class Finding:
    """The fields of a GuardDuty finding we keep; times in UTC, severity as AWS sent it."""

    region: str
    finding_id: str
    finding_type: str
    severity: float
    account_id: str
    first_seen_at: datetime | None
    last_seen_at: datetime | None
    is_sample: bool = False


@dataclass(frozen=True, slots=True)
class GuardDutyFindingsFacts:
    """What GuardDuty reports; ``account_id`` is the connection's own.

    ``regions``: per in-scope region the findings of severity 7 and up, ``None`` when the region
    has no detector, or why it is unread.
    """

    account_id: str
    scope: Fact[RegionScope]
    regions: dict[str, Fact[tuple[Finding, ...] | None]] = field(default_factory=dict)
