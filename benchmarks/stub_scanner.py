"""What a general scanner asks beyond our own reads: there is none of it in the stub's accounts.

A real account would cost it more calls: what these lists hold is asked for one by one.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from benchmarks.stub_wire import Reply, Request, StubError, json_reply, query_reply

if TYPE_CHECKING:
    from benchmarks.stub_accounts import StubSettings
    from benchmarks.stub_wire import Handler

_IAM = "https://iam.amazonaws.com/doc/2010-05-08/"
_LISTS = {
    "ListRoles": "Roles",
    "ListGroups": "Groups",
    "ListPolicies": "Policies",
    "ListUserTags": "Tags",
    "ListUserPolicies": "PolicyNames",
    "ListAttachedUserPolicies": "AttachedPolicies",
    "ListAccessKeys": "AccessKeyMetadata",
    "ListEntitiesForPolicy": "PolicyRoles",
    "ListSAMLProviders": "SAMLProviderList",
    "ListServerCertificates": "ServerCertificateMetadataList",
    "ListServiceSpecificCredentials": "ServiceSpecificCredentials",
    "ListOrganizationsFeatures": "EnabledFeatures",
}
_LAST_ACCESSED = (
    "<JobStatus>COMPLETED</JobStatus><JobCreationDate>2026-01-05T00:00:00Z</JobCreationDate>"
    "<JobCompletionDate>2026-01-05T00:00:00Z</JobCompletionDate><ServicesLastAccessed/>"
    "<IsTruncated>false</IsTruncated>"
)
_NO_BUCKETS = (
    "<ListAllMyBucketsResult><Owner><ID>owner</ID></Owner><Buckets/></ListAllMyBucketsResult>"
)
_NO_MULTI_REGION_POINTS = (
    "<ListMultiRegionAccessPointsResult><AccessPoints/></ListMultiRegionAccessPointsResult>"
)


def s3_action(request: Request) -> str:
    """The action of S3 or S3 Control that a path stands for."""
    match request.path.strip("/").split("/"):
        case [""]:
            return "s3.ListBuckets"
        case [*_, "accesspoint"]:
            return "s3.ListAccessPoints"
        case [*_, "mrap", "instances"]:
            return "s3.ListMultiRegionAccessPoints"
    return "s3.GetPublicAccessBlock"


def _iam(action: str, result: str, _: Request, __: StubSettings) -> Reply:
    return query_reply(action, _IAM, result)


def _xml(text: str, _: Request, __: StubSettings) -> Reply:
    return Reply(200, "application/xml", text.encode())


def _no_members(_: Request, __: StubSettings) -> Reply:
    return json_reply({"members": []})


def _no_insights(_: Request, __: StubSettings) -> Reply:
    raise StubError(400, "InsightNotEnabledException", "Insights are not enabled.")


def _no_organization(_: Request, __: StubSettings) -> Reply:
    raise StubError(400, "AWSOrganizationsNotInUseException", "Not a member of an organization.")


def _no_tags(_: Request, __: StubSettings) -> Reply:
    return json_reply({"tags": {}})


def _not_the_administrator(_: Request, __: StubSettings) -> Reply:
    raise StubError(400, "BadRequestException", "Not the organization's administrator.")


def _no_administrators(_: Request, __: StubSettings) -> Reply:
    return json_reply({"adminAccounts": []})


SCANNER_HANDLERS: dict[str, Handler] = {
    **{
        f"iam.{action}": partial(_iam, action, f"<{name}/><IsTruncated>false</IsTruncated>")
        for action, name in _LISTS.items()
    },
    "iam.GenerateServiceLastAccessedDetails": partial(
        _iam, "GenerateServiceLastAccessedDetails", f"<JobId>{'0' * 36}</JobId>"
    ),
    "iam.GetServiceLastAccessedDetails": partial(
        _iam, "GetServiceLastAccessedDetails", _LAST_ACCESSED
    ),
    "s3.ListBuckets": partial(_xml, _NO_BUCKETS),
    "s3.ListAccessPoints": partial(
        _xml, "<ListAccessPointsResult><AccessPointList/></ListAccessPointsResult>"
    ),
    "s3.ListMultiRegionAccessPoints": partial(
        _xml,
        "<ListMultiRegionAccessPointsResult><AccessPoints/></ListMultiRegionAccessPointsResult>",
    ),
    "cloudtrail.GetInsightSelectors": _no_insights,
    "organizations.DescribeAccount": _no_organization,
    "guardduty.ListMembers": _no_members,
    "guardduty.ListTagsForResource": _no_tags,
    "guardduty.DescribeOrganizationConfiguration": _not_the_administrator,
    "guardduty.ListOrganizationAdminAccounts": _no_administrators,
}
