"""The names others depend on, and what a reading may hold."""

from __future__ import annotations

import pytest

from thirdsentry_pipeline.domain.errors import (
    ConfigurationError,
    InputError,
    MalformedPayloadError,
    RunFailedError,
    ThirdSentryError,
    UnsafeTrustPolicyError,
)
from thirdsentry_pipeline.domain.evidence import (
    ErrorCode,
    EvidenceType,
    Reading,
    ReadStatus,
    Verdict,
)


def test_the_slugs_and_asset_names_of_the_seven_types():
    assert {item.value: item.asset_name for item in EvidenceType} == {
        "aws.iam.root_mfa": "iam_root_mfa",
        "aws.iam.mfa_coverage": "iam_mfa_coverage",
        "aws.iam.password_policy": "iam_password_policy",
        "aws.cloudtrail.multi_region_logging": "cloudtrail_multi_region_logging",
        "aws.s3.account_public_access_block": "s3_account_public_access_block",
        "aws.guardduty.status": "guardduty_status",
        "aws.guardduty.high_severity_findings": "guardduty_high_severity_findings",
    }


@pytest.mark.parametrize(
    "fields",
    [
        {"read_status": ReadStatus.OK},
        {"read_status": ReadStatus.OK, "verdict": Verdict.PASS},
        {"read_status": ReadStatus.OK, "payload": {}},
        {"read_status": ReadStatus.DENIED},
        {"read_status": ReadStatus.ERROR, "verdict": Verdict.FAIL, "error_code": ErrorCode.BUG},
        {"read_status": ReadStatus.PARTIAL, "payload": {}, "error_code": ErrorCode.BUG},
    ],
)
def test_a_verdict_comes_only_with_a_complete_reading_and_an_error_with_the_rest(fields):
    with pytest.raises(ValueError, match="a reading"):
        Reading(EvidenceType.ROOT_MFA, **fields)


def test_errors_carry_the_exit_code_of_the_command_line():
    assert InputError("x").exit_code == 2
    failed = RunFailedError(ErrorCode.KEY_UNAVAILABLE, "The key does not answer.")
    assert (failed.exit_code, failed.code, str(failed)) == (
        1,
        ErrorCode.KEY_UNAVAILABLE,
        "The key does not answer.",
    )
    for kind in (ConfigurationError, MalformedPayloadError, UnsafeTrustPolicyError):
        assert kind("x").exit_code == 1
        assert issubclass(kind, ThirdSentryError)
