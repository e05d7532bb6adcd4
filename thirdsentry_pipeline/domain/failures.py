"""What fails, in words an engineer can act on, from the payload that proves it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from thirdsentry_pipeline.domain.evidence import EvidenceType

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

NAMES_SHOWN = 3


def describe_failure(evidence_type: str, payload: Mapping[str, Any]) -> str | None:
    """One clause without the account; None for a type or a payload of a shape we don't know."""
    describe = FAILURES.get(evidence_type)
    try:
        return None if describe is None else describe(payload)
    except KeyError:
        return None


def root_mfa(payload: Mapping[str, Any]) -> str:
    """The root user has a credential and no MFA."""
    keys = int(payload["active_access_keys"] or 0)
    noun = "key" if keys == 1 else "keys"
    return "root user has no MFA" + (f" and {keys} active access {noun}" if keys else "")


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
