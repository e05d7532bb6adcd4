"""CloudTrail: one good trail is enough, and only a complete read fails."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from thirdsentry_pipeline.domain.evidence import ErrorCode, ReadStatus, Verdict
from thirdsentry_pipeline.domain.facts import (
    CloudTrailFacts,
    EventSelector,
    RegionScope,
    Trail,
    TrailStatus,
    Unread,
)
from thirdsentry_pipeline.domain.fingerprint import ACCOUNT_SUBJECT, fingerprint_of
from thirdsentry_pipeline.domain.rules.cloudtrail import delivery_warnings, judge_cloudtrail

ACCOUNT = "111111111111"
EAST, WEST, NORTH = "us-east-1", "eu-west-1", "eu-north-1"
SCOPE = RegionScope((WEST, EAST), waived=(NORTH,))
NOW = datetime(2026, 11, 23, 2, tzinfo=UTC)
DENIED = Unread(ErrorCode.DENIED, "x:Y")
DENIED_BY_SCP = Unread(ErrorCode.DENIED_BY_SCP, "x:Y")
THROTTLED = Unread(ErrorCode.THROTTLED, "x:Y")
TRANSIENT = Unread(ErrorCode.TRANSIENT, "x:Y")

ALL = EventSelector(management=True, read_write="All")
READ = EventSelector(management=True, read_write="ReadOnly")
WRITE = EventSelector(management=True, read_write="WriteOnly")


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


STOPPED = TrailStatus(is_logging=False)


def cloudtrail(*trails, scope=SCOPE, **regions):
    outcomes = dict.fromkeys((EAST, WEST))
    return CloudTrailFacts(
        scope, {**outcomes, **{k.replace("_", "-"): v for k, v in regions.items()}}, trails
    )


# --- CloudTrail -----------------------------------------------------------------------


def test_one_good_trail_passes():
    reading = judge_cloudtrail(cloudtrail(trail(), trail("old", is_multi_region=False)))
    assert (reading.read_status, reading.verdict) == (ReadStatus.OK, Verdict.PASS)
    assert reading.payload == {
        "trails": [
            {
                "arn": f"arn:aws:cloudtrail:{EAST}:{ACCOUNT}:trail/main",
                "home_region": EAST,
                "is_multi_region": True,
                "is_organization_trail": False,
                "is_logging": True,
                "management_events": "all",
                "excluded_sources": [],
                "log_file_validation": True,
                "kms": False,
                "reason": None,
                "latest_delivery_at": "2026-11-23T02:00:00Z",
                "latest_delivery_error": None,
            },
            {
                "arn": f"arn:aws:cloudtrail:{EAST}:{ACCOUNT}:trail/old",
                "home_region": EAST,
                "is_multi_region": False,
                "is_organization_trail": False,
                "is_logging": True,
                "management_events": "all",
                "excluded_sources": [],
                "log_file_validation": True,
                "kms": False,
                "reason": "single_region",
                "latest_delivery_at": "2026-11-23T02:00:00Z",
                "latest_delivery_error": None,
            },
        ],
        "regions_in_scope": [WEST, EAST],
        "regions_waived": [NORTH],
        "scope": "enabled",
    }


def test_no_trail_at_all_fails():
    reading = judge_cloudtrail(cloudtrail())
    assert (reading.verdict, reading.payload["trails"]) == (Verdict.FAIL, [])


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"is_multi_region": False}, "single_region"),
        ({"status": STOPPED}, "not_logging"),
        ({"selectors": ()}, "no_management_events"),
        ({"selectors": (replace(ALL, management=False),)}, "no_management_events"),
        ({"selectors": (READ,)}, "read_events_only"),
        ({"selectors": (WRITE, WRITE)}, "write_events_only"),
        ({"selectors": (replace(ALL, narrowed=True),)}, "management_events_narrowed"),
        ({"selectors": (READ, replace(WRITE, narrowed=True))}, "read_events_only"),
        ({"selectors": (READ, replace(WRITE, management=False))}, "read_events_only"),
        (
            {"is_multi_region": False, "status": STOPPED, "selectors": (WRITE,)},
            "single_region, not_logging, write_events_only",
        ),
    ],
)
def test_a_trail_that_is_not_enough_fails_and_says_why(changed, reason):
    reading = judge_cloudtrail(cloudtrail(trail(**changed)))
    assert reading.verdict is Verdict.FAIL
    assert [record["reason"] for record in reading.payload["trails"]] == [reason]


@pytest.mark.parametrize(
    "selectors",
    [
        (ALL,),
        (READ, WRITE),
        (WRITE, READ),
        (READ, ALL),
        (replace(ALL, management=False), READ, WRITE),
    ],
)
def test_selectors_that_cover_reads_and_writes_between_them_pass(selectors):
    reading = judge_cloudtrail(cloudtrail(trail(selectors=selectors)))
    assert reading.verdict is Verdict.PASS
    assert reading.payload["trails"][0]["management_events"] == "all"


def test_two_trails_do_not_make_one_good_one():
    facts = cloudtrail(trail("a", selectors=(READ,)), trail("b", selectors=(WRITE,)))
    assert judge_cloudtrail(facts).verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("selectors", "excluded"),
    [
        ((replace(ALL, excluded_sources=("kms.amazonaws.com",)),), ["kms.amazonaws.com"]),
        ((replace(ALL, excluded_sources=("kms.amazonaws.com",)), ALL), []),
        ((replace(READ, excluded_sources=("b", "a")), WRITE), ["a", "b"]),
        (
            (replace(ALL, excluded_sources=("a", "b")), replace(READ, excluded_sources=("b",))),
            ["a", "b"],
        ),
        ((replace(READ, excluded_sources=("a",)), replace(READ, excluded_sources=("b",))), []),
        ((replace(ALL, excluded_sources=("a",), narrowed=True),), []),
    ],
)
def test_a_source_is_excluded_when_no_selector_records_it(selectors, excluded):
    reading = judge_cloudtrail(cloudtrail(trail(selectors=selectors)))
    assert reading.payload["trails"][0]["excluded_sources"] == excluded


def test_a_good_trail_passes_although_something_was_not_read():
    facts = cloudtrail(
        trail(), trail("z", status=DENIED, home_region="ap-south-1"), eu_west_1=THROTTLED
    )
    reading = judge_cloudtrail(facts)
    assert (reading.read_status, reading.verdict) == (ReadStatus.OK, Verdict.PASS)
    assert reading.error_code is ErrorCode.DENIED
    assert reading.regions_unread == ("ap-south-1", WEST)
    unread = reading.payload["trails"][1]
    assert (unread["is_logging"], unread["reason"]) == (None, "status_unread")


@pytest.mark.parametrize(
    "changed",
    [{"status": DENIED}, {"selectors": DENIED}, {"status": DENIED, "selectors": DENIED}],
)
@pytest.mark.parametrize("is_organization_trail", [True, False])
def test_a_trail_that_did_not_answer_makes_the_read_partial_never_fail(
    changed, is_organization_trail
):
    unread = trail(is_organization_trail=is_organization_trail, **changed)
    reading = judge_cloudtrail(cloudtrail(unread, trail("stopped", status=STOPPED)))
    assert (reading.read_status, reading.verdict) == (ReadStatus.PARTIAL, None)
    assert reading.error_code is ErrorCode.DENIED
    assert reading.regions_unread == (EAST,)


def test_unread_selectors_are_null_beside_a_good_trail():
    record = judge_cloudtrail(cloudtrail(trail(), trail("z", selectors=DENIED))).payload["trails"][
        1
    ]
    assert record["management_events"] is None
    assert record["excluded_sources"] is None
    assert record["reason"] == "selectors_unread"


@pytest.mark.parametrize(
    ("regions", "status", "code"),
    [
        ({"eu_west_1": DENIED}, ReadStatus.PARTIAL, ErrorCode.DENIED),
        (
            {"eu_west_1": DENIED, "us_east_1": DENIED_BY_SCP},
            ReadStatus.DENIED,
            ErrorCode.DENIED_BY_SCP,
        ),
        ({"eu_west_1": DENIED, "us_east_1": TRANSIENT}, ReadStatus.ERROR, ErrorCode.DENIED),
    ],
)
def test_trails_may_hide_in_regions_that_did_not_answer(regions, status, code):
    reading = judge_cloudtrail(cloudtrail(trail("s", is_multi_region=False), **regions))
    assert (reading.read_status, reading.error_code, reading.verdict) == (status, code, None)
    assert set(reading.regions_unread) == {name.replace("_", "-") for name in regions}


def test_what_was_delivered_when_never_changes_the_fingerprint():
    quiet = trail(status=TrailStatus(is_logging=True, latest_delivery_error="AccessDenied"))
    prints = {
        fingerprint_of(
            organization_id="64b7f3a2c1d4e5f60718293a",
            account_id=ACCOUNT,
            evidence_type=reading.evidence_type,
            subject=ACCOUNT_SUBJECT,
            verdict=reading.verdict,
            payload=reading.payload,
        ).value
        for reading in (judge_cloudtrail(cloudtrail(trail())), judge_cloudtrail(cloudtrail(quiet)))
    }
    assert len(prints) == 1


def test_logs_that_do_not_arrive_are_a_warning_and_no_verdict():
    def warnings(later=timedelta(0), **status):
        reading = judge_cloudtrail(cloudtrail(trail(status=TrailStatus(**status))))
        return delivery_warnings(reading.payload, NOW + later)

    assert warnings(is_logging=True, latest_delivery_at=NOW, later=timedelta(hours=24)) == ()
    [silent] = warnings(
        is_logging=True, latest_delivery_at=NOW, later=timedelta(hours=24, seconds=1)
    )
    assert "delivered nothing since 2026-11-23T02:00:00Z" in silent
    assert warnings(is_logging=False, latest_delivery_at=NOW, later=timedelta(days=9)) == ()
    assert warnings(is_logging=True) == ()
    [broken] = warnings(
        is_logging=True, latest_delivery_at=NOW, latest_delivery_error="NoSuchBucket"
    )
    assert "could not deliver: NoSuchBucket" in broken
