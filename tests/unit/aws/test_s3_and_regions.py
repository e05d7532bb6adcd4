import pytest

from tests.unit.aws.canned import ACCOUNT
from thirdsentry_pipeline.aws.reading import attempt
from thirdsentry_pipeline.aws.regions import read_region_scope
from thirdsentry_pipeline.aws.s3 import read_public_access_block
from thirdsentry_pipeline.domain.evidence import ErrorCode
from thirdsentry_pipeline.domain.facts import PublicAccessBlock, RegionScope, Unread


def block(inner):
    return f"<PublicAccessBlockConfiguration>{inner}</PublicAccessBlockConfiguration>"


def test_a_flag_left_out_is_false(aws, session):
    aws.answer(
        "s3-control.GetPublicAccessBlock",
        block("<BlockPublicAcls>true</BlockPublicAcls><IgnorePublicAcls>false</IgnorePublicAcls>"),
    )
    assert read_public_access_block(session) == PublicAccessBlock(block_public_acls=True)
    ((_, _, request),) = aws.requests
    assert request.headers["x-amz-account-id"] == ACCOUNT


def test_no_block_is_an_answer(aws, session):
    aws.deny("s3-control.GetPublicAccessBlock", "NoSuchPublicAccessBlockConfiguration", status=404)
    assert read_public_access_block(session) is None


@pytest.mark.parametrize("body", ["", "<html><body/></html>", block(""), "<", "{}"])
def test_an_answer_that_is_no_block_is_malformed(aws, session, body):
    aws.answer("s3-control.GetPublicAccessBlock", body)
    assert attempt("s3:X", lambda: read_public_access_block(session)) == Unread(
        ErrorCode.MALFORMED, "s3:X"
    )


@pytest.mark.parametrize("code", ["AccessDenied", "NoSuchBucket", "InternalError"])
def test_no_other_error_stands_for_no_block(aws, session, code):
    aws.deny("s3-control.GetPublicAccessBlock", code)
    assert isinstance(attempt("s3:X", lambda: read_public_access_block(session)), Unread)


def regions(*pairs):
    items = "".join(
        f"<item><regionName>{name}</regionName><optInStatus>{status}</optInStatus></item>"
        for name, status in pairs
    )
    return f"<DescribeRegionsResponse><regionInfo>{items}</regionInfo></DescribeRegionsResponse>"


def test_only_enabled_regions_are_in_scope(aws, session):
    aws.answer(
        "ec2.DescribeRegions",
        regions(
            ("us-east-1", "opt-in-not-required"),
            ("af-south-1", "opted-in"),
            ("me-south-1", "not-opted-in"),
            ("eu-west-1", "opt-in-not-required"),
        ),
    )
    assert read_region_scope(session, {"eu-west-1", "me-south-1", "mars-north-1"}) == RegionScope(
        ("af-south-1", "us-east-1"), waived=("eu-west-1",), kind="enabled"
    )


def test_a_denied_question_is_answered_by_the_partition(aws, session):
    aws.deny("ec2.DescribeRegions", "UnauthorizedOperation")
    scope = read_region_scope(session, {"eu-west-1"})
    assert scope.kind == "assumed"
    assert "us-east-1" in scope.in_scope
    assert scope.waived == ("eu-west-1",)
    assert not {name for name in scope.in_scope if name.startswith(("cn-", "us-gov-"))}


@pytest.mark.parametrize(
    "body",
    [
        regions(),
        regions(("us-east-1", "not-opted-in")),
        regions(("us-east-1", "perhaps")),
        regions(("us-east-1", "")),
        regions(("evil.example/", "opted-in")),
        regions(("us-east-1", "opted-in"), ("us-east-1", "opted-in")),
        "<DescribeRegionsResponse/>",
        "<",
    ],
)
def test_regions_that_make_no_sense_are_malformed(aws, session, body):
    aws.answer("ec2.DescribeRegions", body)
    assert attempt("ec2:X", lambda: read_region_scope(session, ())) == Unread(
        ErrorCode.MALFORMED, "ec2:X"
    )


def test_any_other_failure_assumes_nothing(aws, session):
    aws.deny("ec2.DescribeRegions", "RequestLimitExceeded", status=503)
    assert attempt("ec2:X", lambda: read_region_scope(session, ())) == Unread(
        ErrorCode.THROTTLED, "ec2:DescribeRegions"
    )
