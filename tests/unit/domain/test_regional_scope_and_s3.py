"""What holds for every rule over regions, and for the S3 block beside them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from thirdsentry_pipeline.domain.evidence import ErrorCode, ReadStatus, Verdict
from thirdsentry_pipeline.domain.facts import (
    CloudTrailFacts,
    Detector,
    EventSelector,
    Finding,
    GuardDutyFindingsFacts,
    GuardDutyStatusFacts,
    PublicAccessBlock,
    PublicAccessBlockFacts,
    RegionScope,
    Trail,
    TrailStatus,
    Unread,
)
from thirdsentry_pipeline.domain.rules.cloudtrail import judge_cloudtrail
from thirdsentry_pipeline.domain.rules.guardduty import (
    judge_guardduty_findings,
    judge_guardduty_status,
)
from thirdsentry_pipeline.domain.rules.outcome import worst_code
from thirdsentry_pipeline.domain.rules.s3 import judge_public_access_block

ACCOUNT = "111111111111"
EAST, WEST, NORTH = "us-east-1", "eu-west-1", "eu-north-1"
SCOPE = RegionScope((WEST, EAST), waived=(NORTH,))
NOW = datetime(2026, 11, 23, 2, tzinfo=UTC)
DENIED = Unread(ErrorCode.DENIED, "x:Y")
THROTTLED = Unread(ErrorCode.THROTTLED, "x:Y")
TRANSIENT = Unread(ErrorCode.TRANSIENT, "x:Y")
ON = Detector("d-1", enabled=True)
EMPTY_SCOPE = RegionScope((), waived=(EAST, WEST))

ALL = EventSelector(management=True, read_write="All")


def trail(name="main", **changed):
    good = Trail(
        arn=f"arn:aws:cloudtrail:{EAST}:{ACCOUNT}:trail/{name}",
        home_region=EAST,
        is_multi_region=True,
        is_organization_trail=False,
        log_file_validation=True,
        has_kms_key=False,
        status=TrailStatus(is_logging=True, latest_delivery_at=NOW),
        selectors=(ALL,),
    )
    return replace(good, **changed)


def cloudtrail(*trails, scope=SCOPE, **regions):
    outcomes = dict.fromkeys((EAST, WEST))
    return CloudTrailFacts(
        scope, {**outcomes, **{k.replace("_", "-"): v for k, v in regions.items()}}, trails
    )


def finding(severity=8.0, finding_id="f-1", **changed):
    made = Finding(
        region=EAST,
        finding_id=finding_id,
        finding_type="UnauthorizedAccess:EC2/SSHBruteForce",
        severity=severity,
        account_id=ACCOUNT,
        first_seen_at=NOW - timedelta(days=3),
        last_seen_at=NOW,
    )
    return replace(made, **changed)


# --- all regional types ---------------------------------------------------------------

JUDGES = [
    lambda scope, east: judge_cloudtrail(CloudTrailFacts(scope, {EAST: east}, (trail(),))),
    lambda scope, east: judge_guardduty_status(GuardDutyStatusFacts(scope, {EAST: east or ON})),
    lambda scope, east: judge_guardduty_findings(
        GuardDutyFindingsFacts(ACCOUNT, scope, {EAST: east or (finding(),)})
    ),
]


@pytest.mark.parametrize("judge", JUDGES)
def test_without_a_region_in_scope_nothing_is_proven(judge):
    reading = judge(EMPTY_SCOPE, None)
    assert (reading.read_status, reading.error_code) == (ReadStatus.ERROR, ErrorCode.MALFORMED)
    assert reading.verdict is None


@pytest.mark.parametrize("judge", JUDGES)
@pytest.mark.parametrize(
    ("unread", "status"), [(DENIED, ReadStatus.DENIED), (THROTTLED, ReadStatus.ERROR)]
)
def test_without_knowing_the_regions_nothing_is_proven(judge, unread, status):
    reading = judge(unread, None)
    assert (reading.read_status, reading.error_code, reading.verdict) == (status, unread.code, None)


# --- S3 -------------------------------------------------------------------------------


def test_all_four_flags_pass():
    block = PublicAccessBlock(**dict.fromkeys(PublicAccessBlock.__slots__, True))
    reading = judge_public_access_block(PublicAccessBlockFacts(block))
    assert reading.verdict is Verdict.PASS
    assert reading.payload == {
        "configured": True,
        "block_public_acls": True,
        "ignore_public_acls": True,
        "block_public_policy": True,
        "restrict_public_buckets": True,
    }


@pytest.mark.parametrize(
    "missing",
    ["block_public_acls", "ignore_public_acls", "block_public_policy", "restrict_public_buckets"],
)
def test_one_missing_flag_is_off_and_fails(missing):
    flags = dict.fromkeys(PublicAccessBlock.__slots__, True)
    del flags[missing]
    reading = judge_public_access_block(PublicAccessBlockFacts(PublicAccessBlock(**flags)))
    assert (reading.verdict, reading.payload[missing]) == (Verdict.FAIL, False)


def test_an_account_without_a_block_fails_with_every_flag_off():
    reading = judge_public_access_block(PublicAccessBlockFacts(None))
    assert reading.verdict is Verdict.FAIL
    assert set(reading.payload.values()) == {False}


@pytest.mark.parametrize(
    ("unread", "status"), [(DENIED, ReadStatus.DENIED), (TRANSIENT, ReadStatus.ERROR)]
)
def test_an_unread_block_proves_nothing(unread, status):
    reading = judge_public_access_block(PublicAccessBlockFacts(unread))
    assert (reading.read_status, reading.error_code, reading.verdict) == (status, unread.code, None)


# --- codes ----------------------------------------------------------------------------


def test_the_worst_code_speaks_for_many():
    codes = [*ErrorCode]
    assert worst_code(Unread(code, "x") for code in codes) is ErrorCode.BUG
    assert worst_code([THROTTLED, DENIED]) is ErrorCode.DENIED
    assert worst_code([]) is None
    assert worst_code([Unread(ErrorCode.KEY_UNAVAILABLE, "x")]) is ErrorCode.BUG
