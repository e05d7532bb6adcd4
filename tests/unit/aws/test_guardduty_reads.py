from datetime import UTC, datetime
from functools import partial

import pytest

from tests.unit.aws.canned import ACCOUNT
from thirdsentry_pipeline.aws import guardduty
from thirdsentry_pipeline.aws.guardduty import GuardDutyReads, read_findings
from thirdsentry_pipeline.aws.reading import attempt
from thirdsentry_pipeline.domain.evidence import ErrorCode
from thirdsentry_pipeline.domain.facts import Detector, Finding, RegionScope, Unread

SCOPE = RegionScope(("eu-west-1", "us-east-1"))


def finding(finding_id, *, severity=8.0, account=ACCOUNT, archived=False, **service):
    return {
        "id": finding_id,
        "type": "Backdoor:EC2/C&CActivity.B!DNS",
        "severity": severity,
        "accountId": account,
        "region": "us-east-1",
        "title": "t",
        "service": {
            "archived": archived,
            "eventFirstSeen": "2026-01-05T09:00:00.000Z",
            "eventLastSeen": "2026-01-06T09:00:00Z",
            **service,
        },
    }


def one_finding(aws, body):
    aws.answer("guardduty.ListFindings", {"findingIds": ["f1"], "nextToken": ""})
    aws.answer("guardduty.GetFindings", {"findings": [body]})


def collect(session, reads, *, status=True, findings=True, scope=SCOPE):
    both = GuardDutyReads(session, reads, status=status, findings=findings)
    both.start(scope.in_scope)
    reads.finish()
    return both


def test_both_types_share_one_listing(aws, session, reads):
    aws.answer("guardduty.ListDetectors", {"detectorIds": ["d1"]})
    aws.answer("guardduty.ListDetectors", {"detectorIds": [], "nextToken": ""}, region="eu-west-1")
    aws.answer("guardduty.GetDetector", {"status": "ENABLED", "serviceRole": "r"})
    aws.answer(
        "guardduty.GetAdministratorAccount",
        {"administrator": {"accountId": "999988887777", "relationshipStatus": "Enabled"}},
    )
    one_finding(aws, finding("f1"))
    both = collect(session, reads)
    status = both.status_facts(SCOPE)
    assert status.scope == SCOPE
    assert status.regions == {
        "eu-west-1": None,
        "us-east-1": Detector("d1", enabled=True, administrator_account_id="999988887777"),
    }
    found = both.findings_facts(SCOPE)
    assert found.account_id == ACCOUNT
    assert found.regions == {
        "eu-west-1": None,
        "us-east-1": (
            Finding(
                "us-east-1",
                "f1",
                "Backdoor:EC2/C&CActivity.B!DNS",
                8.0,
                ACCOUNT,
                datetime(2026, 1, 5, 9, tzinfo=UTC),
                datetime(2026, 1, 6, 9, tzinfo=UTC),
            ),
        ),
    }
    assert len(aws.called("guardduty.ListDetectors")) == 2


def test_only_what_was_asked_for_is_read(aws, session, reads):
    aws.answer("guardduty.ListDetectors", {"detectorIds": ["d1"]})
    aws.answer("guardduty.GetDetector", {"status": "DISABLED"})
    aws.answer("guardduty.GetAdministratorAccount", {})
    both = collect(session, reads, findings=False)
    assert both.status_facts(SCOPE).regions["us-east-1"] == Detector(
        "d1", enabled=False, administrator_account_id=None
    )
    assert not aws.called("guardduty.ListFindings")


def test_denied_findings_leave_the_status_readable(aws, session, reads):
    aws.answer("guardduty.ListDetectors", {"detectorIds": ["d1"]})
    aws.answer("guardduty.GetDetector", {"status": "ENABLED"})
    aws.answer("guardduty.GetAdministratorAccount", {})
    aws.deny("guardduty.ListFindings")
    both = collect(session, reads)
    assert both.status_facts(SCOPE).regions["us-east-1"] == Detector(
        "d1", enabled=True, administrator_account_id=None
    )
    assert both.findings_facts(SCOPE).regions["us-east-1"] == Unread(
        ErrorCode.DENIED, "guardduty:ListFindings"
    )


def test_a_disabled_region_leaves_the_scope_of_both(aws, session, reads):
    aws.answer("guardduty.ListDetectors", {"detectorIds": []})
    aws.deny("guardduty.ListDetectors", "OptInRequired", region="eu-west-1")
    both = collect(session, reads)
    assert both.status_facts(SCOPE).scope == RegionScope(("us-east-1",))
    assert both.findings_facts(SCOPE).scope == RegionScope(("us-east-1",))


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"detectorIds": None},
        {"detectorIds": "d1"},
        {"detectorIds": ""},
        {"detectorIds": {}},
        {"detectorIds": [5]},
        {"detectorIds": ["a", "b"]},
        "",
        "[]",
    ],
    ids=str,
)
def test_a_listing_that_makes_no_sense_is_never_an_absent_detector(aws, session, body, reads):
    aws.answer("guardduty.ListDetectors", body)
    unread = Unread(ErrorCode.MALFORMED, "guardduty:ListDetectors")
    assert set(collect(session, reads).status_facts(SCOPE).regions.values()) == {unread}


@pytest.mark.parametrize(
    ("status", "administrator"),
    [
        ({}, {}),
        ({"status": "enabled"}, {}),
        ({"status": True}, {}),
        ({"status": "ENABLED"}, {"administrator": {"accountId": "12"}}),
        ({"status": "ENABLED"}, {"administrator": "999988887777"}),
        ({"status": "ENABLED"}, "{"),
        ({"status": "ENABLED"}, ""),
    ],
)
def test_a_detector_that_makes_no_sense_is_unread(aws, session, status, administrator, reads):
    aws.answer("guardduty.ListDetectors", {"detectorIds": ["d1"]})
    aws.answer("guardduty.GetDetector", status)
    aws.answer("guardduty.GetAdministratorAccount", administrator)
    unread = Unread(ErrorCode.MALFORMED, "guardduty:GetDetector")
    assert set(collect(session, reads, findings=False).status_facts(SCOPE).regions.values()) == {
        unread
    }


def test_findings_are_asked_for_in_the_documented_way(aws, session):
    ids = [f"f{number:03}" for number in range(120)]
    pages = [ids[:50], ids[50:100], ids[100:]]
    tokens = ["t1", "t2", ""]
    aws.answer(
        "guardduty.ListFindings",
        *(
            {"findingIds": page, "nextToken": token}
            for page, token in zip(pages, tokens, strict=True)
        ),
    )
    aws.answer(
        "guardduty.GetFindings", *({"findings": [finding(one) for one in page]} for page in pages)
    )
    found = read_findings(session, "us-east-1", "d1")
    assert [one.finding_id for one in found] == ids
    first = aws.called("guardduty.ListFindings")[0][2].body.decode()
    assert '"severity": {"greaterThanOrEqual": 7}' in first
    assert '"service.archived": {"equals": ["false"]}' in first
    assert f'"accountId": {{"equals": ["{ACCOUNT}"]}}' in first
    assert '"maxResults": 50' in first
    assert len(aws.called("guardduty.GetFindings")) == 3


def test_no_finding_is_an_answer(aws, session):
    aws.answer("guardduty.ListFindings", {"findingIds": [], "nextToken": ""})
    assert read_findings(session, "us-east-1", "d1") == ()
    assert not aws.called("guardduty.GetFindings")


def test_a_finding_archived_in_between_is_left_out(aws, session):
    one_finding(aws, finding("f1", archived=True))
    assert read_findings(session, "us-east-1", "d1") == ()


def test_a_finding_that_does_not_say_so_is_not_archived(aws, session):
    """It was listed as one that is not; null is no word to the contrary."""
    one_finding(aws, finding("f1", archived=None))
    assert [one.finding_id for one in read_findings(session, "us-east-1", "d1")] == ["f1"]


@pytest.mark.parametrize(
    ("details", "is_sample"),
    [
        ({"additionalInfo": {"type": "default", "value": '{"sample":true}'}}, True),
        ({"additionalInfo": {"type": "default", "value": '{"sample":false}'}}, False),
        ({"additionalInfo": {"type": "default", "value": '{"sample":"true"}'}}, False),
        ({"additionalInfo": {"type": "default", "value": "sample"}}, False),
        ({"additionalInfo": {"value": "[" * 4000}}, False),
        ({"additionalInfo": {}}, False),
        ({}, False),
    ],
)
def test_samples_are_told_by_their_mark(aws, session, details, is_sample):
    one_finding(aws, finding("f1", **details))
    (found,) = read_findings(session, "us-east-1", "d1")
    assert found.is_sample is is_sample


def test_times_may_be_absent(aws, session):
    one_finding(aws, finding("f1", eventFirstSeen="", eventLastSeen=None))
    (found,) = read_findings(session, "us-east-1", "d1")
    assert (found.first_seen_at, found.last_seen_at) == (None, None)


def outcome(session):
    return attempt("guardduty:Findings", partial(read_findings, session, "us-east-1", "d1"))


MALFORMED = Unread(ErrorCode.MALFORMED, "guardduty:Findings")


@pytest.mark.parametrize(
    "body",
    [
        finding("f1", severity=float("nan")),
        finding("f1", severity=float("inf")),
        finding("f1", severity=2**63),
        finding("f1", severity=-1),
        finding("f1", account="me"),
        finding("f1", additionalInfo=""),
        finding("f1", eventFirstSeen="yesterday"),
        finding("f1", eventFirstSeen="2026-01-05T09:00:00"),
        finding("f1", additionalInfo={"value": "\ud800"}),
        {**finding("f1"), "type": "a\x00b"},
        {**finding("f1"), "service": None},
        {"id": "f1"},
        finding("f2"),
        None,
        [],
    ],
    ids=range(15),
)
def test_a_finding_that_makes_no_sense_leaves_the_region_unread(aws, session, body):
    one_finding(aws, body)
    assert outcome(session) == MALFORMED


@pytest.mark.parametrize(
    ("listed", "got"),
    [
        ([{"findingIds": ["f1", "f2"]}], {"findings": [finding("f1")]}),
        ([{"findingIds": ["f1"]}], {"findings": []}),
        ([{"findingIds": ["f1"]}], {"findings": [finding("f1"), finding("f1")]}),
        ([{"findingIds": ["f1"]}], {}),
        ([{"findingIds": ["f1", "f1"]}], {"findings": [finding("f1")]}),
        (
            [{"findingIds": ["f1"], "nextToken": "t"}, {"findingIds": ["f1"]}],
            {"findings": [finding("f1")]},
        ),
        ([{"findingIds": [], "nextToken": "t"}], {"findings": []}),
        ([{"findingIds": {}}], {"findings": []}),
        ([{"findingIds": ""}], {"findings": []}),
        ([{"findingIds": [None]}], {"findings": []}),
        ([{}], {"findings": []}),
    ],
    ids=[
        "fewer",
        "none",
        "twice",
        "no-list",
        "repeated",
        "repeated-later",
        "loop",
        "object",
        "text",
        "null",
        "no-ids",
    ],
)
def test_a_list_of_findings_that_may_be_short_leaves_the_region_unread(aws, session, listed, got):
    aws.answer("guardduty.ListFindings", *listed)
    aws.answer("guardduty.GetFindings", got)
    assert outcome(session) == MALFORMED


def test_more_findings_than_the_cap_are_unread_and_not_cut(aws, session, monkeypatch):
    monkeypatch.setattr(guardduty, "_MOST_FINDINGS", 2)
    aws.answer("guardduty.ListFindings", {"findingIds": ["a", "b", "c"]})
    assert outcome(session) == MALFORMED
    assert not aws.called("guardduty.GetFindings")


def test_a_session_that_expires_on_a_later_page_leaves_the_region_unread(aws, session):
    aws.answer("guardduty.ListFindings", {"findingIds": [], "nextToken": "t"})
    aws.deny("guardduty.ListFindings", "ExpiredTokenException")
    assert outcome(session) == Unread(ErrorCode.TRANSIENT, "guardduty:ListFindings")
