"""What a customer's role must allow and whom it must trust, as IAM policy documents.

The least-privilege actions are the single list: the permission policy a customer attaches and
the session policy every session is cut down to both come from it.
"""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from thirdsentry_pipeline.domain.evidence import EvidenceType

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_POLICY_VERSION = "2012-10-17"
POLICY_NAME = "ThirdSentryEvidence"

_REPORT = ("iam:GenerateCredentialReport", "iam:GetCredentialReport")
_REGIONS = ("ec2:DescribeRegions",)

ACTIONS_BY_TYPE: Mapping[EvidenceType, tuple[str, ...]] = {
    EvidenceType.ROOT_MFA: (*_REPORT, "iam:GetAccountSummary", "iam:ListVirtualMFADevices"),
    EvidenceType.MFA_COVERAGE: (
        *_REPORT,
        "iam:ListUsers",
        "iam:GetLoginProfile",
        "iam:ListMFADevices",
    ),
    EvidenceType.PASSWORD_POLICY: ("iam:GetAccountPasswordPolicy",),
    EvidenceType.CLOUDTRAIL_LOGGING: (
        *_REGIONS,
        "cloudtrail:DescribeTrails",
        "cloudtrail:GetTrailStatus",
        "cloudtrail:GetEventSelectors",
    ),
    EvidenceType.S3_PUBLIC_ACCESS_BLOCK: ("s3:GetAccountPublicAccessBlock",),
    EvidenceType.GUARDDUTY_STATUS: (
        *_REGIONS,
        "guardduty:ListDetectors",
        "guardduty:GetDetector",
        "guardduty:GetAdministratorAccount",
    ),
    EvidenceType.GUARDDUTY_FINDINGS: (
        *_REGIONS,
        "guardduty:ListDetectors",
        "guardduty:ListFindings",
        "guardduty:GetFindings",
    ),
}
"""IAM actions (not API names: S3's differ) that reading each type needs."""


def actions_for(types: Iterable[EvidenceType]) -> tuple[str, ...]:
    """The IAM actions that reading ``types`` needs, sorted, each once."""
    return tuple(sorted({action for item in types for action in ACTIONS_BY_TYPE[item]}))


LEAST_PRIVILEGE_ACTIONS: tuple[str, ...] = actions_for(EvidenceType)


class PolicyChoice(StrEnum):
    """What a customer may attach to the role; the session policy narrows all of them alike."""

    LEAST_PRIVILEGE = "least-privilege"
    SECURITY_AUDIT = "security-audit"
    READ_ONLY = "read-only"

    @property
    def managed_policies(self) -> tuple[str, ...]:
        """Names of the AWS-managed policies to attach; none for the least-privilege one."""
        return {
            PolicyChoice.LEAST_PRIVILEGE: (),
            PolicyChoice.SECURITY_AUDIT: ("SecurityAudit",),
            PolicyChoice.READ_ONLY: ("SecurityAudit", "ReadOnlyAccess"),
        }[self]

    @property
    def warning(self) -> str | None:
        """What a person should know before choosing it."""
        if self is not PolicyChoice.READ_ONLY:
            return None
        return (
            "ReadOnlyAccess also opens your data to reading (such as s3:GetObject, "
            "dynamodb:GetItem and logs:GetLogEvents), which ThirdSentry never needs; "
            "the least-privilege policy is enough."
        )


def permission_policy() -> dict[str, Any]:
    """The least-privilege policy to attach to the role."""
    return _allow(LEAST_PRIVILEGE_ACTIONS)


def managed_policy_arns(choice: PolicyChoice, partition: str) -> tuple[str, ...]:
    """ARNs of the AWS-managed policies that ``choice`` attaches."""
    return tuple(f"arn:{partition}:iam::aws:policy/{name}" for name in choice.managed_policies)


def session_policy(types: Iterable[EvidenceType]) -> str:
    """The inline policy of one session: only what reading ``types`` needs, as compact JSON.

    Whatever else the customer attached to the role can't be used in such a session.
    """
    return json.dumps(_allow(actions_for(types)), separators=(",", ":"))


def trust_policy(principal_arn: str, external_id: str) -> dict[str, Any]:
    """Who may open the role: our principal alone, and only with this external id."""
    return trust_document(principal_arn, external_id)


def _allow(actions: tuple[str, ...]) -> dict[str, Any]:
    return {
        "Version": _POLICY_VERSION,
        "Statement": [
            {"Sid": POLICY_NAME, "Effect": "Allow", "Action": list(actions), "Resource": "*"},
        ],
    }


def trust_document(principal: Any, external_id: Any) -> dict[str, Any]:
    """The trust policy around two values, which may be a template's references."""
    return {
        "Version": _POLICY_VERSION,
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": principal},
                "Action": "sts:AssumeRole",
                "Condition": {"StringEquals": {"sts:ExternalId": external_id}},
            },
        ],
    }
