"""Why a piece of evidence does not pass, in words an engineer can act on. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from thirdsentry_pipeline.domain.evidence import EvidenceType

NAMES_SHOWN = 3
SEVERITY = ("fail", "not_authorized", "missing", "stale", "pending", "not_applicable", "pass")


@dataclass(frozen=True, slots=True)
class Finding:
    """The state of one evidence type in one account; ``payload`` is that of its last good read."""

    evidence_type: str
    account_id: str
    evidence_status: str
    last_error_code: str | None
    last_ok_at: datetime | None
    payload: Mapping[str, Any] | None

    @property
    def is_passing(self) -> bool:
        """Whether it needs no reason."""
        return self.evidence_status == "pass"

    @property
    def severity(self) -> int:
        """Its place among the statuses, worst first."""
        return SEVERITY.index(self.evidence_status)


def explain(finding: Finding) -> str:
    """One clause: what is wrong, without the account."""
    slug, status = finding.evidence_type, finding.evidence_status
    code = f" ({finding.last_error_code})" if finding.last_error_code else ""
    if status == "fail" and finding.payload is not None:
        describe = FAILURES.get(slug)
        return describe(finding.payload) if describe else f"{slug} fails"
    if status == "stale":
        since = finding.last_ok_at.strftime("%Y-%m-%d") if finding.last_ok_at else "connecting"
        return f"{slug} not read well since {since}{code}"
    if status in {"pending", "missing", "not_authorized"}:
        return f"{slug} was never read{code}"
    return f"{slug} does not apply" if status == "not_applicable" else f"{slug} is {status}"


def root_mfa(payload: Mapping[str, Any]) -> str:
    """The root user has a credential and no MFA."""
    keys = int(payload["active_access_keys"] or 0)
    return "root user has no MFA" + (f" and {keys} active access keys" if keys else "")


def mfa_coverage(payload: Mapping[str, Any]) -> str:
    """Console users without MFA."""
    count, total = payload["users_without_mfa_count"], payload["users_with_password"]
    return f"{count} of {total} console users lack MFA ({some(payload['users_without_mfa'])})"


def password_policy(payload: Mapping[str, Any]) -> str:
    """No policy, or one that is too weak."""
    if not payload["policy_present"]:
        return "no password policy"
    return f"password policy is too weak ({some(payload['failed_requirements'])})"


def cloudtrail(payload: Mapping[str, Any]) -> str:
    """No trail records all management events of all regions."""
    trails = payload["trails"]
    if not trails:
        return "no CloudTrail trail"
    reasons = [f"{trail['arn'].rpartition('/')[2]}: {trail['reason']}" for trail in trails]
    return f"no good CloudTrail trail ({some(reasons)})"


def public_access_block(payload: Mapping[str, Any]) -> str:
    """S3's account-wide block is off, in whole or in part."""
    if not payload["configured"]:
        return "no S3 public access block"
    flags = (
        "block_public_acls",
        "ignore_public_acls",
        "block_public_policy",
        "restrict_public_buckets",
    )
    return f"S3 public access block is open ({some([name for name in flags if not payload[name]])})"


def guardduty_status(payload: Mapping[str, Any]) -> str:
    """GuardDuty is suspended or absent somewhere."""
    off = [
        f"{one['region']} {one['state']}" for one in payload["regions"] if one["state"] != "enabled"
    ]
    return f"GuardDuty is off ({some(off)})"


def guardduty_findings(payload: Mapping[str, Any]) -> str:
    """Open findings of severity 7 and above."""
    return (
        f"GuardDuty has {payload['critical_count']} critical and {payload['high_count']} high "
        "findings open"
    )


def some(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    rest = len(names) - NAMES_SHOWN
    shown = ", ".join(names[:NAMES_SHOWN])
    return f"{shown} and {rest} more" if rest > 0 else shown


FAILURES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    EvidenceType.ROOT_MFA: root_mfa,
    EvidenceType.MFA_COVERAGE: mfa_coverage,
    EvidenceType.PASSWORD_POLICY: password_policy,
    EvidenceType.CLOUDTRAIL_LOGGING: cloudtrail,
    EvidenceType.S3_PUBLIC_ACCESS_BLOCK: public_access_block,
    EvidenceType.GUARDDUTY_STATUS: guardduty_status,
    EvidenceType.GUARDDUTY_FINDINGS: guardduty_findings,
}
