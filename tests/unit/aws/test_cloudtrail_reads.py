from datetime import UTC, datetime

import pytest

from thirdsentry_pipeline.aws import cloudtrail
from thirdsentry_pipeline.aws.cloudtrail import CloudTrailReads
from thirdsentry_pipeline.domain.evidence import ErrorCode
from thirdsentry_pipeline.domain.facts import EventSelector, RegionScope, TrailStatus, Unread
from thirdsentry_pipeline.domain.rules.cloudtrail import judge_cloudtrail

SCOPE = RegionScope(("eu-west-1", "us-east-1", "us-west-2"))


def arn(name, region="us-east-1", account="111122223333"):
    return f"arn:aws:cloudtrail:{region}:{account}:trail/{name}"


def trail(name="main", home="us-east-1", **more):
    return {
        "Name": name,
        "TrailARN": arn(name, home),
        "HomeRegion": home,
        "IsMultiRegionTrail": True,
        "IsOrganizationTrail": False,
        "LogFileValidationEnabled": True,
        **more,
    }


STATUS = {"IsLogging": True, "LatestDeliveryTime": 1_767_225_600.0}
SELECTORS = {
    "EventSelectors": [
        {
            "ReadWriteType": "All",
            "IncludeManagementEvents": True,
            "ExcludeManagementEventSources": ["rdsdata.amazonaws.com", "kms.amazonaws.com"],
        }
    ]
}


def collect(session, reads, scope=SCOPE):
    trails = CloudTrailReads(session, reads)
    trails.start(scope.in_scope)
    reads.finish()
    return trails.facts(scope)


def with_details(aws):
    aws.answer("cloudtrail.GetTrailStatus", STATUS)
    aws.answer("cloudtrail.GetEventSelectors", SELECTORS)


def test_a_trail_seen_from_everywhere_is_read_once_at_home(aws, session, reads):
    aws.answer("cloudtrail.DescribeTrails", {"trailList": [trail(home="us-west-2", KmsKeyId="k")]})
    with_details(aws)
    facts = collect(session, reads)
    assert facts.scope == SCOPE
    assert facts.regions == dict.fromkeys(SCOPE.in_scope)
    (read,) = facts.trails
    assert (read.arn, read.home_region) == (arn("main", "us-west-2"), "us-west-2")
    assert (read.is_multi_region, read.log_file_validation, read.has_kms_key) == (True, True, True)
    assert read.status == TrailStatus(
        is_logging=True, latest_delivery_at=datetime(2026, 1, 1, tzinfo=UTC)
    )
    assert read.selectors == (
        EventSelector(
            management=True,
            read_write="All",
            excluded_sources=("kms.amazonaws.com", "rdsdata.amazonaws.com"),
        ),
    )
    for action in ("cloudtrail.GetTrailStatus", "cloudtrail.GetEventSelectors"):
        ((_, region, request),) = aws.called(action)
        assert region == "us-west-2"
        assert arn("main", "us-west-2").encode() in request.body


def test_no_trail_anywhere_is_an_answer(aws, session, reads):
    aws.answer("cloudtrail.DescribeTrails", {"trailList": []})
    facts = collect(session, reads)
    assert facts.trails == ()
    assert facts.regions == dict.fromkeys(SCOPE.in_scope)


def test_a_region_that_could_not_be_read_costs_only_itself(aws, session, reads):
    aws.answer("cloudtrail.DescribeTrails", {"trailList": [trail()]})
    aws.deny("cloudtrail.DescribeTrails", region="eu-west-1")
    with_details(aws)
    facts = collect(session, reads)
    assert facts.regions["eu-west-1"] == Unread(ErrorCode.DENIED, "cloudtrail:DescribeTrails")
    assert [one.arn for one in facts.trails] == [arn("main")]


def test_a_disabled_region_leaves_the_scope(aws, session, reads):
    aws.answer("cloudtrail.DescribeTrails", {"trailList": []})
    aws.deny("cloudtrail.DescribeTrails", "OptInRequired", region="eu-west-1")
    facts = collect(session, reads)
    assert facts.scope == RegionScope(("us-east-1", "us-west-2"))
    assert set(facts.regions) == {"us-east-1", "us-west-2"}


def test_details_that_could_not_be_read_leave_the_trail_in_place(aws, session, reads):
    aws.answer("cloudtrail.DescribeTrails", {"trailList": [trail()]})
    aws.deny("cloudtrail.GetTrailStatus")
    aws.answer("cloudtrail.GetEventSelectors", SELECTORS)
    (read,) = collect(session, reads).trails
    assert read.status == Unread(ErrorCode.DENIED, "cloudtrail:GetTrailStatus")
    assert len(read.selectors) == 1


@pytest.mark.parametrize(
    "code",
    [
        "AccessDeniedException",
        "TrailNotFoundException",
        "CloudTrailARNInvalidException",
        "OperationNotPermittedException",
    ],
)
def test_an_organizations_trail_out_of_reach_is_denied(aws, session, code, reads):
    aws.answer("cloudtrail.DescribeTrails", {"trailList": [trail(IsOrganizationTrail=True)]})
    aws.deny("cloudtrail.GetTrailStatus", code, status=400)
    aws.deny("cloudtrail.GetEventSelectors", code, status=400)
    (read,) = collect(session, reads).trails
    assert read.is_organization_trail
    assert read.status == Unread(ErrorCode.DENIED, "cloudtrail:GetTrailStatus")
    assert read.selectors == Unread(ErrorCode.DENIED, "cloudtrail:GetEventSelectors")


def test_an_own_trail_deleted_in_between_is_transient(aws, session, reads):
    aws.answer("cloudtrail.DescribeTrails", {"trailList": [trail()]})
    aws.deny("cloudtrail.GetTrailStatus", "TrailNotFoundException", status=400)
    aws.deny("cloudtrail.GetEventSelectors", "CloudTrailARNInvalidException", status=400)
    (read,) = collect(session, reads).trails
    assert read.status == Unread(ErrorCode.TRANSIENT, "cloudtrail:GetTrailStatus")
    assert read.selectors == Unread(ErrorCode.BUG, "cloudtrail:GetEventSelectors")


def test_a_disabled_home_region_leaves_the_details_unread(aws, session, reads):
    aws.answer("cloudtrail.DescribeTrails", {"trailList": [trail()]})
    aws.deny("cloudtrail.GetTrailStatus", "OptInRequired")
    aws.answer("cloudtrail.GetEventSelectors", SELECTORS)
    (read,) = collect(session, reads).trails
    assert read.status == Unread(ErrorCode.DENIED, cloudtrail.GET_TRAIL_STATUS)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"trailList": None},
        {"trailList": {}},
        {"trailList": ["x"]},
        {"trailList": [trail(TrailARN=5)]},
        {"trailList": [trail(TrailARN="a\x00")]},
        {"trailList": [trail(HomeRegion="evil.example/")]},
        {"trailList": [trail(IsMultiRegionTrail="true")]},
        {"trailList": [trail(IsOrganizationTrail=1)]},
        {"trailList": [trail(), trail()]},
        {"trailList": [trail("a"), {"TrailARN": "b"}]},
        "<html>",
        '{"trailList": [',
        "[]",
        "",
        '{"trailList":' + "[" * 100_000,
    ],
    ids=range(16),
)
def test_a_list_of_trails_that_makes_no_sense_is_unread(aws, session, body, reads):
    aws.answer("cloudtrail.DescribeTrails", body)
    facts = collect(session, reads)
    unread = Unread(ErrorCode.MALFORMED, "cloudtrail:DescribeTrails")
    assert facts.regions == dict.fromkeys(SCOPE.in_scope, unread)
    assert facts.trails == ()


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"IsLogging": "yes"},
        {"IsLogging": True, "LatestDeliveryTime": "soon"},
        {"IsLogging": True, "LatestDeliveryTime": 1e300},
        {"IsLogging": True, "LatestDeliveryError": 5},
    ],
    ids=str,
)
def test_a_status_that_makes_no_sense_is_unread(aws, session, body, reads):
    aws.answer("cloudtrail.DescribeTrails", {"trailList": [trail()]})
    aws.answer("cloudtrail.GetTrailStatus", body)
    aws.answer("cloudtrail.GetEventSelectors", SELECTORS)
    (read,) = collect(session, reads).trails
    assert read.status == Unread(ErrorCode.MALFORMED, "cloudtrail:GetTrailStatus")


def test_the_home_regions_own_description_counts(aws, session, reads):
    aws.answer("cloudtrail.DescribeTrails", {"trailList": [trail(LogFileValidationEnabled=False)]})
    aws.answer("cloudtrail.DescribeTrails", {"trailList": [trail()]}, region="us-east-1")
    with_details(aws)
    (read,) = collect(session, reads).trails
    assert read.log_file_validation


NOT_LOGGING = {"IsLogging": False}


def test_what_the_home_region_says_is_read_there_whatever_a_copy_says(aws, session, reads):
    """A copy that names another home was listed first, and that region answers too."""
    lie = {**trail(), "HomeRegion": "us-west-2"}
    aws.answer("cloudtrail.DescribeTrails", {"trailList": [trail()]})
    aws.answer("cloudtrail.DescribeTrails", {"trailList": [lie]}, region="eu-west-1")
    with_details(aws)
    aws.answer("cloudtrail.GetTrailStatus", NOT_LOGGING, region="us-east-1")
    (read,) = collect(session, reads).trails
    assert (read.home_region, read.status.is_logging) == ("us-east-1", False)


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"us-west-2": {"HomeRegion": "us-west-2"}},
        {"us-east-1": {"HomeRegion": "ap-east-1"}},
        {"us-east-1": None, "us-west-2": {"IsMultiRegionTrail": False}},
    ],
    ids=["two homes", "no home", "copies that differ"],
)
def test_copies_that_contradict_each_other_prove_nothing(aws, session, elsewhere, reads):
    aws.answer("cloudtrail.DescribeTrails", {"trailList": [trail()]})
    for region, change in elsewhere.items():
        listed = [] if change is None else [{**trail(), **change}]
        aws.answer("cloudtrail.DescribeTrails", {"trailList": listed}, region=region)
    with_details(aws)
    facts = collect(session, reads)
    (read,) = facts.trails
    assert read.status == read.selectors == Unread(ErrorCode.MALFORMED, "cloudtrail:DescribeTrails")
    reading = judge_cloudtrail(facts)
    assert (reading.verdict, reading.error_code) == (None, ErrorCode.MALFORMED)
