"""Every failing type says what is wrong there, from its payload."""

from datetime import UTC, datetime

import pytest

from thirdsentry_pipeline.cli.coverage_tables import bar, compact, percent
from thirdsentry_pipeline.cli.marts import why
from thirdsentry_pipeline.cli.reasons import Finding, explain
from thirdsentry_pipeline.domain.evidence import EvidenceType
from thirdsentry_pipeline.domain.failures import FAILURES, describe_failure, some

SEEN = datetime(2026, 3, 1, 12, tzinfo=UTC)


def finding(slug, status="fail", payload=None, *, account="111111111111", code=None, seen=SEEN):
    return Finding(slug, account, status, code, seen, payload)


@pytest.mark.parametrize(
    ("slug", "payload", "reason"),
    [
        ("aws.iam.root_mfa", {"active_access_keys": 0}, "root user has no MFA"),
        (
            "aws.iam.root_mfa",
            {"active_access_keys": 2},
            "root user has no MFA and 2 active access keys",
        ),
        (
            "aws.iam.mfa_coverage",
            {
                "users_without_mfa_count": 5,
                "users_with_password": 9,
                "users_without_mfa": list("abcde"),
            },
            "5 of 9 console users lack MFA (a, b, c and 2 more)",
        ),
        ("aws.iam.password_policy", {"policy_present": False}, "no password policy"),
        (
            "aws.iam.password_policy",
            {"policy_present": True, "failed_requirements": ["minimum_length"]},
            "password policy is too weak (minimum_length)",
        ),
        ("aws.cloudtrail.multi_region_logging", {"trails": []}, "no CloudTrail trail"),
        (
            "aws.cloudtrail.multi_region_logging",
            {
                "trails": [
                    {"arn": "arn:aws:cloudtrail:us-east-1:1:trail/main", "reason": "not_logging"}
                ]
            },
            "no good CloudTrail trail (main: not_logging)",
        ),
        ("aws.s3.account_public_access_block", {"configured": False}, "no S3 public access block"),
        (
            "aws.s3.account_public_access_block",
            {
                "configured": True,
                "block_public_acls": True,
                "ignore_public_acls": False,
                "block_public_policy": True,
                "restrict_public_buckets": True,
            },
            "S3 public access block is open (ignore_public_acls)",
        ),
        (
            "aws.guardduty.status",
            {
                "regions": [
                    {"region": "eu-west-1", "state": "enabled"},
                    {"region": "us-east-1", "state": "absent"},
                ]
            },
            "GuardDuty is off (us-east-1 absent)",
        ),
        (
            "aws.guardduty.high_severity_findings",
            {"critical_count": 1, "high_count": 2},
            "GuardDuty has 1 critical and 2 high findings open",
        ),
    ],
)
def test_failure_is_explained(slug, payload, reason):
    assert explain(finding(slug, payload=payload)) == reason


def test_every_type_has_an_explanation():
    assert set(FAILURES) == set(EvidenceType)


@pytest.mark.parametrize(
    ("status", "code", "seen", "reason"),
    [
        ("stale", "denied", SEEN, "T not read well since 2026-03-01 (denied)"),
        ("pending", None, None, "T was never read"),
        ("missing", "throttled", None, "T was never read (throttled)"),
        ("not_authorized", "denied", None, "T was never read (denied)"),
        ("not_applicable", None, SEEN, "T does not apply"),
    ],
)
def test_unread_evidence_is_explained(status, code, seen, reason):
    assert explain(finding("T", status, code=code, seen=seen)) == reason


def test_a_controls_reason_has_the_worst_first_and_names_each_account_once():
    findings = [
        finding("A", "stale", account="1" * 12),
        finding("A", "fail", account="2" * 12),
        finding("B", "missing", account="2" * 12, seen=None),
        finding("B", "pass", account="1" * 12),
        finding("C", "fail"),
    ]
    assert why(findings, ["A", "B"]) == (
        "222222222222: A is fail, B was never read; 111111111111: A not read well since 2026-03-01"
    )


def test_passing_controls_share_one_row_per_framework():
    rows = [
        {"framework": "f", "control_id": number, "control_status": status}
        for number, status in (("1", "passing"), ("2", "failing"), ("3", "passing"))
    ]
    shown = compact(rows)
    assert [row["control_id"] for row in shown] == ["2", "2 others"]
    assert shown[1]["control_title"] == "1, 3"


def test_shares_are_never_rounded_up_to_full():
    assert percent(None).strip() == "-"
    assert bar(None).count("░") == bar(99.9).count("░") + 19
    assert "░" not in bar(100).split("[dim]")[1]
    assert some(["a"]) == "a"


def test_a_payload_of_another_shape_still_gets_a_reason():
    assert describe_failure(EvidenceType.ROOT_MFA, {"of": "an older schema"}) is None
    assert describe_failure("aws.other.kind", {}) is None
    assert explain(finding("aws.iam.root_mfa", payload={})) == "aws.iam.root_mfa fails"
