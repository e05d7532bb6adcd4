"""The stub's answers, in the wire format of each service."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING

from benchmarks import stub_accounts as accounts
from benchmarks.stub_iam import IAM_HANDLERS
from benchmarks.stub_scanner import SCANNER_HANDLERS, s3_action
from benchmarks.stub_wire import Reply, Request, StubError, json_reply

if TYPE_CHECKING:
    from benchmarks.stub_accounts import StubSettings
    from benchmarks.stub_wire import Handler

_WRAP_MARK = b"stub-wrapped-key"


def action_of(request: Request) -> str:
    """The action's name, such as ``iam.ListUsers``."""
    if request.target:
        return f"{request.service}.{request.target.rpartition('.')[2]}"
    if request.service in {"sts", "iam", "ec2"}:
        return f"{request.service}.{request.form.get('Action', '?')}"
    if request.service == "guardduty":
        return f"guardduty.{_guardduty_action(request)}"
    return s3_action(request)


def answer(request: Request, action: str, settings: StubSettings) -> Reply:
    """The answer to a request; an error becomes one in the service's own format."""
    handler = _HANDLERS.get(action)
    if handler is None:
        raise StubError(400, "InvalidAction", f"The stub does not know {action}.")
    return handler(request, settings)


def _regions(_: Request, settings: StubSettings) -> Reply:
    items = "".join(
        f"<item><regionName>{name}</regionName><regionEndpoint>ec2.{name}.amazonaws.com"
        "</regionEndpoint><optInStatus>opt-in-not-required</optInStatus></item>"
        for name in accounts.REGIONS[: settings.regions]
    )
    items += (
        "<item><regionName>me-south-1</regionName><regionEndpoint>e</regionEndpoint>"
        "<optInStatus>not-opted-in</optInStatus></item>"
    )
    text = (
        '<DescribeRegionsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">'
        f"<requestId>r</requestId><regionInfo>{items}</regionInfo></DescribeRegionsResponse>"
    )
    return Reply(200, "text/xml", text.encode())


def _trails(request: Request, _: StubSettings) -> Reply:
    account = request.account_id
    trail = {
        "Name": f"trail-{account}",
        "S3BucketName": f"logs-{account}",
        "IncludeGlobalServiceEvents": True,
        "IsMultiRegionTrail": True,
        "HomeRegion": "us-east-1",
        "TrailARN": accounts.trail_arn(account),
        "LogFileValidationEnabled": True,
        "HasCustomEventSelectors": True,
        "IsOrganizationTrail": False,
    }
    return json_reply({"trailList": [trail]})


def _trail_status(_: Request, __: StubSettings) -> Reply:
    return json_reply({"IsLogging": True, "LatestDeliveryTime": 1_767_571_200})


def _selectors(request: Request, _: StubSettings) -> Reply:
    selector = {
        "ReadWriteType": "All",
        "IncludeManagementEvents": True,
        "DataResources": [],
        "ExcludeManagementEventSources": [],
    }
    return json_reply(
        {"TrailARN": accounts.trail_arn(request.account_id), "EventSelectors": [selector]}
    )


_OF_GUARDDUTY = {
    (): "GetDetector",
    ("administrator",): "GetAdministratorAccount",
    ("findings",): "ListFindings",
    ("findings", "get"): "GetFindings",
    ("member",): "ListMembers",
    ("admin",): "DescribeOrganizationConfiguration",
}
"""GuardDuty's actions by what follows the detector's id in the path."""


def _guardduty_action(request: Request) -> str:
    match request.path.strip("/").split("/"):
        case ["detector"]:
            return "ListDetectors"
        case ["detector", _, *rest]:
            return _OF_GUARDDUTY.get(tuple(rest), request.path)
        case ["admin"]:
            return "ListOrganizationAdminAccounts"
        case ["tags", *_]:
            return "ListTagsForResource"
    return request.path


def _detectors(request: Request, settings: StubSettings) -> Reply:
    found = accounts.detector_id(request.account_id, request.region, settings)
    return json_reply({"detectorIds": [found] if found else []})


def _detector(request: Request, settings: StubSettings) -> Reply:
    _own_detector(request, settings)
    return json_reply({"status": "ENABLED", "serviceRole": "r", "createdAt": accounts.GENERATED_AT})


def _administrator(request: Request, settings: StubSettings) -> Reply:
    _own_detector(request, settings)
    return json_reply({})


def _list_findings(request: Request, settings: StubSettings) -> Reply:
    _own_detector(request, settings)
    ids = accounts.finding_ids(request.account_id, request.region, settings)
    asked = request.json
    start, size = int(asked.get("nextToken") or 0), asked.get("maxResults", 50)
    page = {"findingIds": ids[start : start + size]}
    return json_reply({**page, "nextToken": str(start + size)} if start + size < len(ids) else page)


def _get_findings(request: Request, settings: StubSettings) -> Reply:
    _own_detector(request, settings)
    ids = request.json["findingIds"]
    found = [accounts.finding(request.account_id, request.region, one) for one in ids]
    return json_reply({"findings": found})


def _own_detector(request: Request, settings: StubSettings) -> None:
    own = accounts.detector_id(request.account_id, request.region, settings)
    if request.path.strip("/").split("/")[1] != own:
        raise StubError(400, "BadRequestException", "The detector is not owned by the account.")


def _block(request: Request, _: StubSettings) -> Reply:
    if request.headers.get("x-amz-account-id") != request.account_id:
        raise StubError(403, "AccessDenied", "Another account's configuration.")
    names = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    flags = accounts.public_access_flags(request.account_id)
    inner = "".join(
        f"<{name}>{str(flag).lower()}</{name}>" for name, flag in zip(names, flags, strict=True)
    )
    text = f"<PublicAccessBlockConfiguration>{inner}</PublicAccessBlockConfiguration>"
    return Reply(200, "application/xml", text.encode())


def _context_digest(request: Request) -> bytes:
    context = json.dumps(request.json.get("EncryptionContext", {}), sort_keys=True)
    return hashlib.sha256(context.encode()).digest()


def _generate_key(request: Request, _: StubSettings) -> Reply:
    wrapped = _WRAP_MARK + _context_digest(request)
    return json_reply({"KeyId": "key", "CiphertextBlob": base64.b64encode(wrapped).decode()})


def _decrypt(request: Request, _: StubSettings) -> Reply:
    wrapped = base64.b64decode(request.json["CiphertextBlob"])
    if wrapped != _WRAP_MARK + _context_digest(request):
        raise StubError(400, "InvalidCiphertextException", "Another encryption context.")
    plain = hashlib.sha256(wrapped).digest()
    return json_reply({"KeyId": "key", "Plaintext": base64.b64encode(plain).decode()})


_HANDLERS: dict[str, Handler] = {
    **SCANNER_HANDLERS,
    **IAM_HANDLERS,
    "ec2.DescribeRegions": _regions,
    "cloudtrail.DescribeTrails": _trails,
    "cloudtrail.GetTrailStatus": _trail_status,
    "cloudtrail.GetEventSelectors": _selectors,
    "guardduty.ListDetectors": _detectors,
    "guardduty.GetDetector": _detector,
    "guardduty.GetAdministratorAccount": _administrator,
    "guardduty.ListFindings": _list_findings,
    "guardduty.GetFindings": _get_findings,
    "s3.GetPublicAccessBlock": _block,
    "kms.GenerateDataKeyWithoutPlaintext": _generate_key,
    "kms.Decrypt": _decrypt,
}
