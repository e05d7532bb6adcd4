"""GuardDuty: on everywhere, and nothing severe open."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from thirdsentry_pipeline.domain.evidence import ErrorCode, ReadStatus, Verdict
from thirdsentry_pipeline.domain.facts import (
    Detector,
    Finding,
    GuardDutyFindingsFacts,
    GuardDutyStatusFacts,
    RegionScope,
    Unread,
)
from thirdsentry_pipeline.domain.rules.guardduty import (
    judge_guardduty_findings,
    judge_guardduty_status,
)

ACCOUNT = "111111111111"
EAST, WEST, NORTH = "us-east-1", "eu-west-1", "eu-north-1"
SCOPE = RegionScope((WEST, EAST), waived=(NORTH,))
NOW = datetime(2026, 11, 23, 2, tzinfo=UTC)
DENIED = Unread(ErrorCode.DENIED, "x:Y")
DENIED_BY_SCP = Unread(ErrorCode.DENIED_BY_SCP, "x:Y")
THROTTLED = Unread(ErrorCode.THROTTLED, "x:Y")
TRANSIENT = Unread(ErrorCode.TRANSIENT, "x:Y")
ON = Detector("d-1", enabled=True)
SUSPENDED = Detector("d-2", enabled=False, administrator_account_id="999999999999")

# --- GuardDuty status -----------------------------------------------------------------


def status_of(east, west, scope=SCOPE, **more):
    return judge_guardduty_status(GuardDutyStatusFacts(scope, {EAST: east, WEST: west, **more}))


def test_guardduty_on_in_every_region_passes():
    reading = status_of(ON, replace(ON, administrator_account_id="999999999999"))
    assert reading.verdict is Verdict.PASS
    assert reading.payload == {
        "regions": [
            {"region": WEST, "state": "enabled", "administrator_account_id": "999999999999"},
            {"region": EAST, "state": "enabled", "administrator_account_id": None},
        ],
        "regions_in_scope": [WEST, EAST],
        "regions_waived": [NORTH],
        "scope": "enabled",
    }


@pytest.mark.parametrize(("other", "state"), [(None, "absent"), (SUSPENDED, "suspended")])
def test_one_region_without_guardduty_fails(other, state):
    reading = status_of(ON, other)
    assert reading.verdict is Verdict.FAIL
    assert reading.payload["regions"][0]["state"] == state


def test_a_proven_failure_beats_unread_regions_and_lists_them():
    reading = status_of(None, THROTTLED)
    assert (reading.read_status, reading.verdict) == (ReadStatus.OK, Verdict.FAIL)
    assert (reading.regions_unread, reading.error_code) == ((WEST,), ErrorCode.THROTTLED)
    assert [record["region"] for record in reading.payload["regions"]] == [EAST]


@pytest.mark.parametrize(
    ("east", "west", "status", "code", "unread"),
    [
        (ON, DENIED, ReadStatus.PARTIAL, ErrorCode.DENIED, (WEST,)),
        (DENIED, DENIED, ReadStatus.DENIED, ErrorCode.DENIED, (WEST, EAST)),
        (DENIED, DENIED_BY_SCP, ReadStatus.DENIED, ErrorCode.DENIED_BY_SCP, (WEST, EAST)),
        (DENIED, THROTTLED, ReadStatus.ERROR, ErrorCode.DENIED, (WEST, EAST)),
        (TRANSIENT, THROTTLED, ReadStatus.ERROR, ErrorCode.THROTTLED, (WEST, EAST)),
    ],
)
def test_unread_regions_leave_no_verdict(east, west, status, code, unread):
    reading = status_of(east, west)
    assert (reading.read_status, reading.error_code, reading.verdict) == (status, code, None)
    assert reading.regions_unread == unread


def test_a_waived_region_counts_neither_way():
    assert status_of(ON, ON, **{NORTH: None}).verdict is Verdict.PASS
    assert status_of(ON, ON, **{NORTH: DENIED}).regions_unread == ()


def test_an_in_scope_region_that_nobody_asked_is_unread():
    reading = judge_guardduty_status(GuardDutyStatusFacts(SCOPE, {EAST: ON}))
    assert (reading.read_status, reading.error_code) == (ReadStatus.PARTIAL, ErrorCode.BUG)
    assert reading.regions_unread == (WEST,)


def test_an_assumed_scope_is_told():
    assert status_of(ON, ON, replace(SCOPE, kind="assumed")).payload["scope"] == "assumed"


# --- GuardDuty findings ---------------------------------------------------------------


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


def findings_of(east, west=(), scope=SCOPE, **more):
    return judge_guardduty_findings(
        GuardDutyFindingsFacts(ACCOUNT, scope, {EAST: east, WEST: west, **more})
    )


def test_no_finding_passes_and_one_fails():
    passed = findings_of((), None)
    assert passed.verdict is Verdict.PASS
    assert passed.payload == {
        "high_count": 0,
        "critical_count": 0,
        "oldest_first_seen_at": None,
        "findings": [],
        "truncated": False,
        "regions_without_detector": [WEST],
        "regions_in_scope": [WEST, EAST],
        "regions_waived": [NORTH],
        "scope": "enabled",
    }
    failed = findings_of((finding(), finding(9.5, "f-0", first_seen_at=None)))
    assert failed.verdict is Verdict.FAIL
    assert failed.payload["oldest_first_seen_at"] == "2026-11-20T02:00:00Z"
    assert failed.payload["findings"] == [
        {
            "region": EAST,
            "finding_id": "f-0",
            "finding_type": "UnauthorizedAccess:EC2/SSHBruteForce",
            "severity": 9.5,
            "first_seen_at": None,
            "last_seen_at": "2026-11-23T02:00:00Z",
        },
        {
            "region": EAST,
            "finding_id": "f-1",
            "finding_type": "UnauthorizedAccess:EC2/SSHBruteForce",
            "severity": 8,
            "first_seen_at": "2026-11-20T02:00:00Z",
            "last_seen_at": "2026-11-23T02:00:00Z",
        },
    ]


@pytest.mark.parametrize(
    ("severity", "high", "critical"),
    [(6.99, 0, 0), (7.0, 1, 0), (7, 1, 0), (8.9, 1, 0), (8.95, 1, 0), (9.0, 0, 1), (10.0, 0, 1)],
)
def test_severity_is_a_decimal(severity, high, critical):
    reading = findings_of((finding(severity),))
    assert (reading.payload["high_count"], reading.payload["critical_count"]) == (high, critical)
    assert reading.verdict is (Verdict.FAIL if high or critical else Verdict.PASS)


@pytest.mark.parametrize("changed", [{"account_id": "222222222222"}, {"is_sample": True}])
def test_findings_of_other_accounts_and_samples_are_left_out(changed):
    assert findings_of((finding(**changed),)).verdict is Verdict.PASS
    assert findings_of((finding(float("nan"), **changed),)).verdict is Verdict.PASS


@pytest.mark.parametrize("severity", [float("nan"), float("inf"), float("-inf")])
def test_a_finding_without_a_usable_severity_never_helps_to_a_pass(severity):
    reading = findings_of((finding(severity),))
    assert (reading.read_status, reading.error_code) == (ReadStatus.PARTIAL, ErrorCode.MALFORMED)
    proven = findings_of((finding(severity),), (finding(region=WEST),))
    assert (proven.verdict, proven.regions_unread) == (Verdict.FAIL, (EAST,))


def test_without_any_detector_the_type_does_not_apply():
    reading = findings_of(None, None)
    assert reading.verdict is Verdict.NOT_APPLICABLE
    assert reading.payload["regions_without_detector"] == [WEST, EAST]


@pytest.mark.parametrize(
    ("east", "west", "status"),
    [
        ((), DENIED, ReadStatus.PARTIAL),
        (None, DENIED, ReadStatus.PARTIAL),
        (DENIED, DENIED, ReadStatus.DENIED),
        (DENIED, THROTTLED, ReadStatus.ERROR),
    ],
)
def test_unread_findings_leave_no_verdict(east, west, status):
    reading = findings_of(east, west)
    assert (reading.read_status, reading.error_code, reading.verdict) == (
        status,
        ErrorCode.DENIED,
        None,
    )


def test_a_finding_fails_although_another_region_was_not_read():
    reading = findings_of((finding(),), DENIED)
    assert (reading.read_status, reading.verdict) == (ReadStatus.OK, Verdict.FAIL)
    assert (reading.regions_unread, reading.error_code) == ((WEST,), ErrorCode.DENIED)


def test_findings_in_a_waived_region_are_not_counted():
    assert findings_of((), (), **{NORTH: (finding(region=NORTH),)}).verdict is Verdict.PASS


def test_a_finding_listed_twice_counts_once():
    seen_twice = (
        finding(),
        finding(last_seen_at=NOW + timedelta(minutes=1)),
        finding(last_seen_at=None),
    )
    [kept] = findings_of(seen_twice).payload["findings"]
    assert kept["last_seen_at"] == "2026-11-23T02:01:00Z"
    assert findings_of(seen_twice) == findings_of(seen_twice[::-1])


def test_the_list_stops_at_ten_thousand_and_the_counts_do_not():
    many = tuple(finding(7.5, f"f-{number:05}") for number in range(10_500))
    worst = finding(9.1, "z-last")
    reading = findings_of((*many, worst))
    assert reading.payload["truncated"] is True
    assert (reading.payload["high_count"], reading.payload["critical_count"]) == (10_500, 1)
    kept = [record["finding_id"] for record in reading.payload["findings"]]
    assert len(kept) == 10_000
    assert kept == sorted(kept)
    assert kept[-1] == "z-last"
    assert findings_of(many[:10_000]).payload["truncated"] is False


def test_nothing_but_the_agreed_fields_of_a_finding_is_kept():
    [kept] = findings_of((finding(),)).payload["findings"]
    assert set(kept) == {
        "region",
        "finding_id",
        "finding_type",
        "severity",
        "first_seen_at",
        "last_seen_at",
    }
