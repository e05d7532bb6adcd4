"""What evidence is: its types, verdicts, and the outcome of one read.

Pure: no AWS, no database, no clock. The rules that produce a :class:`Reading` are in
``domain.rules``; the facts they judge are in ``domain.facts``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


class EvidenceType(StrEnum):
    """The seven kinds of evidence; values are the contract's slugs."""

    ROOT_MFA = "aws.iam.root_mfa"
    MFA_COVERAGE = "aws.iam.mfa_coverage"
    PASSWORD_POLICY = "aws.iam.password_policy"  # noqa: S105 - a slug, not a secret
    CLOUDTRAIL_LOGGING = "aws.cloudtrail.multi_region_logging"
    S3_PUBLIC_ACCESS_BLOCK = "aws.s3.account_public_access_block"
    GUARDDUTY_STATUS = "aws.guardduty.status"
    GUARDDUTY_FINDINGS = "aws.guardduty.high_severity_findings"

    @property
    def asset_name(self) -> str:
        """Name of the Dagster asset under the ``aws`` prefix, such as ``iam_root_mfa``."""
        return self.value.removeprefix("aws.").replace(".", "_")


class Verdict(StrEnum):
    """What a complete read proves."""

    PASS = "pass"  # noqa: S105 - a verdict, not a secret
    FAIL = "fail"
    NOT_APPLICABLE = "not_applicable"


class ReadStatus(StrEnum):
    """How far one read attempt got; only ``OK`` carries a verdict."""

    OK = "ok"
    PARTIAL = "partial"
    DENIED = "denied"
    ERROR = "error"


class ErrorCode(StrEnum):
    """Why a read (or, from ``ASSUME_ROLE_DENIED`` on, a whole run) brought nothing."""

    DENIED = "denied"
    DENIED_BY_SCP = "denied_by_scp"
    THROTTLED = "throttled"
    NOT_READY = "not_ready"
    TRANSIENT = "transient"
    MALFORMED = "malformed"
    BUG = "bug"
    ASSUME_ROLE_DENIED = "assume_role_denied"
    ACCOUNT_MISMATCH = "account_mismatch"
    KEY_UNAVAILABLE = "key_unavailable"
    REVOKED_DURING_RUN = "revoked_during_run"
    NO_LIVE_CONNECTION = "no_live_connection"

    @property
    def is_denial(self) -> bool:
        """Whether the customer's side refused the call."""
        return self in {ErrorCode.DENIED, ErrorCode.DENIED_BY_SCP}


@dataclass(frozen=True, slots=True)
class Reading:
    """The outcome of reading one evidence type in one account.

    ``verdict`` and ``payload`` are present exactly when ``read_status`` is ``OK``;
    ``error_code`` is present when something that mattered was not read.
    ``regions_unread`` is sorted. ``source_generated_at`` (UTC) is the moment the source
    itself says its data was true, when it says so (the IAM credential report).
    """

    evidence_type: EvidenceType
    read_status: ReadStatus
    verdict: Verdict | None = None
    payload: Mapping[str, Any] | None = None
    error_code: ErrorCode | None = None
    regions_unread: tuple[str, ...] = ()
    source_generated_at: datetime | None = None

    def __post_init__(self) -> None:
        proven = self.read_status is ReadStatus.OK
        if proven != (self.verdict is not None) or proven != (self.payload is not None):
            message = f"a reading has a verdict and a payload exactly when it is ok: {self!r}"
            raise ValueError(message)
        if not proven and self.error_code is None:
            message = f"a reading that is not ok names its error code: {self!r}"
            raise ValueError(message)
