"""Answers that botocore would have read as something they are not."""

from functools import partial

import pytest

from tests.unit.aws.canned import xml
from thirdsentry_pipeline.aws import guardduty, iam, regions, s3
from thirdsentry_pipeline.aws.reading import attempt
from thirdsentry_pipeline.domain.evidence import ErrorCode
from thirdsentry_pipeline.domain.facts import Unread

MALFORMED = Unread(ErrorCode.MALFORMED, "x:Y")
FLAGS = "".join(
    f"<{name}>true</{name}>"
    for name in ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy")
)


def summary(inner):
    return xml("GetAccountSummary", f"<SummaryMap>{inner}</SummaryMap>")


def policy(length):
    return xml(
        "GetAccountPasswordPolicy",
        f"<PasswordPolicy><MinimumPasswordLength>{length}</MinimumPasswordLength></PasswordPolicy>",
    )


def block(last):
    return f"<PublicAccessBlockConfiguration>{FLAGS}{last}</PublicAccessBlockConfiguration>"


def users(end):
    return xml("ListUsers", f"<Users><member><UserName>a</UserName></member></Users>{end}")


ENTRY = "<entry><key>{}</key><value>{}</value></entry>"
XML = {
    "a value missing after another's": (
        iam.read_summary,
        summary(ENTRY.format("Users", 1) + "<entry><key>AccountMFAEnabled</key></entry>"),
    ),
    "a key that contradicts itself": (
        iam.read_summary,
        summary(ENTRY.format("AccountMFAEnabled", 0) + ENTRY.format("AccountMFAEnabled", 1)),
    ),
    "a key that is no text": (
        iam.read_summary,
        summary("<entry><key><x>Users</x></key><value>1</value></entry>"),
    ),
    "a number with an underscore": (iam.read_password_policy, policy("1_4")),
    "a number in other digits": (iam.read_password_policy, policy("\uff11\uff14")),
    "a member that contradicts itself": (
        s3.read_public_access_block,
        block(
            "<RestrictPublicBuckets>true</RestrictPublicBuckets>"
            "<RestrictPublicBuckets>false</RestrictPublicBuckets>"
        ),
    ),
    "a flag with more in it": (
        s3.read_public_access_block,
        block("<RestrictPublicBuckets>true<x/></RestrictPublicBuckets>"),
    ),
    "an end of a list in another word": (
        iam.read_user_names,
        users("<IsTruncated>TRUE</IsTruncated><Marker>m</Marker>"),
    ),
    "an end of a list in no word": (iam.read_user_names, users("<IsTruncated/>")),
    "two results": (
        iam.read_password_policy,
        policy(14).replace(
            "</GetAccountPasswordPolicyResult>",
            "</GetAccountPasswordPolicyResult><GetAccountPasswordPolicyResult/>",
        ),
    ),
    "a document type": (s3.read_public_access_block, "<!DOCTYPE x>" + block("")),
}


@pytest.mark.parametrize(("read", "body"), XML.values(), ids=list(XML))
def test_an_xml_answer_that_is_not_what_its_model_says_is_refused(aws, session, read, body):
    for action in (
        "iam.GetAccountSummary",
        "iam.GetAccountPasswordPolicy",
        "iam.ListUsers",
        "s3-control.GetPublicAccessBlock",
    ):
        aws.answer(action, body)
    assert attempt("x:Y", partial(read, session)) == MALFORMED


def test_members_added_later_and_namespaces_change_nothing(aws, session):
    inner = block("<RestrictPublicBuckets>true</RestrictPublicBuckets><AddedLater>?</AddedLater>")
    aws.answer("s3-control.GetPublicAccessBlock", inner.replace(">", ' xmlns="http://x/">', 1))
    assert s3.read_public_access_block(session).restrict_public_buckets


JSON = {
    "a member that contradicts itself": b'{"detectorIds": ["d"], "detectorIds": []}',
    "a name that no model knows, twice": b'{"detectorIds": [], "later": 1, "later": 1}',
    "a number that is none": b'{"detectorIds": [], "x": NaN}',
    "a text where a list belongs": b'{"detectorIds": ""}',
    "a number where a text belongs": b'{"detectorIds": [7]}',
}


@pytest.mark.parametrize("body", JSON.values(), ids=list(JSON))
def test_a_json_answer_that_is_not_what_its_model_says_is_refused(aws, session, body):
    aws.answer("guardduty.ListDetectors", body)
    read = partial(guardduty.read_detector_id, session, "us-east-1")
    assert attempt("x:Y", read) == MALFORMED


@pytest.mark.parametrize(
    "member",
    ['"severity": "6.5"', '"severity": true', '"service": {"archived": "TRUE"}'],
    ids=["a severity in quotes", "a severity that is a flag", "a flag in quotes"],
)
def test_a_finding_is_not_dropped_for_a_value_of_another_kind(aws, session, member):
    aws.answer("guardduty.ListFindings", {"findingIds": ["f"]})
    aws.answer("guardduty.GetFindings", f'{{"findings": [{{"id": "f", {member}}}]}}'.encode())
    read = partial(guardduty.read_findings, session, "us-east-1", "d")
    assert attempt("x:Y", read) == MALFORMED


def test_an_entity_is_never_expanded(aws, session):
    body = '<!DOCTYPE r [<!ENTITY e "us-east-1">]><r><regionInfo><item>&e;</item></regionInfo></r>'
    aws.answer("ec2.DescribeRegions", body)
    assert attempt("x:Y", partial(regions.read_region_scope, session, ())) == MALFORMED
