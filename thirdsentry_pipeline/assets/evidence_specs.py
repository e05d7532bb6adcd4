"""The seven evidence assets as the catalog shows them."""

from datetime import timedelta

import dagster as dg

from thirdsentry_pipeline.domain.evidence import EvidenceType

GROUP = "aws_evidence"
KEY_PREFIX = "aws"
OWNER = "team:compliance"
TABLE = "warehouse.evidence"

FAIL_WINDOW = timedelta(hours=48)
WARN_WINDOW = timedelta(hours=36)

DESCRIPTIONS = {
    EvidenceType.ROOT_MFA: "The root user of every account has MFA, or no credential at all.",
    EvidenceType.MFA_COVERAGE: "Every IAM user with a console password has an MFA device.",
    EvidenceType.PASSWORD_POLICY: (
        "The account's password policy asks for 14 characters and remembers 24 passwords."
    ),
    EvidenceType.CLOUDTRAIL_LOGGING: (
        "A multi-region trail is logging read and write management events."
    ),
    EvidenceType.S3_PUBLIC_ACCESS_BLOCK: "All four account-wide S3 public access blocks are on.",
    EvidenceType.GUARDDUTY_STATUS: "GuardDuty is enabled in every region in scope.",
    EvidenceType.GUARDDUTY_FINDINGS: (
        "No current GuardDuty finding of severity 7.0 (high) or above."
    ),
}


def evidence_key(kind: EvidenceType) -> dg.AssetKey:
    """The asset key of an evidence type, such as ``aws/iam_root_mfa``."""
    return dg.AssetKey([KEY_PREFIX, kind.asset_name])


EVIDENCE_KEYS = {kind: evidence_key(kind) for kind in EvidenceType}
TYPE_OF_KEY = {key: kind for kind, key in EVIDENCE_KEYS.items()}


def _spec(kind: EvidenceType) -> dg.AssetSpec:
    service = kind.asset_name.partition("_")[0]
    return dg.AssetSpec(
        key=EVIDENCE_KEYS[kind],
        description=DESCRIPTIONS[kind],
        group_name=GROUP,
        owners=[OWNER],
        kinds={"aws", service, "postgres"},
        tags={"thirdsentry/evidence_type": kind.value},
        metadata={"thirdsentry/evidence_type": kind.value, "dagster/table_name": TABLE},
        freshness_policy=dg.FreshnessPolicy.time_window(
            fail_window=FAIL_WINDOW, warn_window=WARN_WINDOW
        ),
        skippable=True,
    )


EVIDENCE_SPECS = [_spec(kind) for kind in EvidenceType]
