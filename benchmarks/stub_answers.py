"""The stub's answers, in the wire format of each service."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

from benchmarks import stub_accounts as accounts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.stub_accounts import StubSettings

_EXPIRES = "2099-01-01T00:00:00Z"
_WRAP_MARK = b"stub-wrapped-key"
_STS = "https://sts.amazonaws.com/doc/2011-06-15/"
_IAM = "https://iam.amazonaws.com/doc/2010-05-08/"


@dataclass(frozen=True)
class Request:
    """A request as the stub understands it; the caller and service come from its signature."""

    account_id: str
    region: str
    service: str
    method: str
    target: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        """The body of a query protocol, its first value each."""
        return {name: values[0] for name, values in parse_qs(self.body.decode()).items()}

    @property
    def json(self) -> dict[str, Any]:
        """The body of a JSON protocol."""
        return json.loads(self.body or b"{}")


@dataclass(frozen=True)
class Reply:
    """An answer: status, content type and body."""

    status: int
    kind: str
    body: bytes


class StubError(Exception):
    """An error of AWS, to be told in the service's own format."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


def parse(method: str, target: str, headers: Mapping[str, str], body: bytes) -> Request:
    """Read caller, region and service from the signature.

    Raises:
        StubError: the request is unsigned, or signed with a key the stub never gave out.
    """
    _, _, scope = headers.get("authorization", "").partition("Credential=")
    parts = scope.partition(",")[0].split("/")
    account = accounts.account_of(parts[0])
    if len(parts) != 5 or account is None:  # noqa: PLR2004 - key, day, region, service, suffix
        raise StubError(403, "InvalidClientTokenId", "The security token is invalid.")
    return Request(
        account,
        parts[2],
        parts[3],
        method,
        headers.get("x-amz-target", ""),
        urlsplit(target).path,
        headers,
        body,
    )


def action_of(request: Request) -> str:
    """The action's name, such as ``iam.ListUsers``."""
    if request.target:
        return f"{request.service}.{request.target.rpartition('.')[2]}"
    if request.service in {"sts", "iam", "ec2"}:
        return f"{request.service}.{request.form.get('Action', '?')}"
    if request.service == "guardduty":
        return f"guardduty.{_guardduty_action(request)}"
    return "s3.GetPublicAccessBlock"


def answer(request: Request, action: str, settings: StubSettings) -> Reply:
    """The answer to a request; an error becomes one in the service's own format."""
    handler = _HANDLERS.get(action)
    if handler is None:
        raise StubError(400, "InvalidAction", f"The stub does not know {action}.")
    return handler(request, settings)


def error_reply(service: str, error: StubError) -> Reply:
    if service in {"cloudtrail", "kms", "guardduty"}:
        body = {"__type": error.code, "message": error.message}
        return Reply(error.status, "application/x-amz-json-1.1", json.dumps(body).encode())
    inner = f"<Code>{error.code}</Code><Message>{escape(error.message)}</Message>"
    if service == "ec2":
        text = (
            f"<Response><Errors><Error>{inner}</Error></Errors><RequestID>r</RequestID></Response>"
        )
    else:
        text = (
            f"<ErrorResponse><Error><Type>Sender</Type>{inner}</Error>"
            "<RequestId>r</RequestId></ErrorResponse>"
        )
    return Reply(error.status, "text/xml", text.encode())


def _query(action: str, namespace: str, result: str) -> Reply:
    text = (
        f'<{action}Response xmlns="{namespace}"><{action}Result>{result}</{action}Result>'
        f"<ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></{action}Response>"
    )
    return Reply(200, "text/xml", text.encode())


def _json(body: Any) -> Reply:
    return Reply(200, "application/x-amz-json-1.1", json.dumps(body).encode())


def _assume_role(request: Request, _: StubSettings) -> Reply:
    form = request.form
    role = form["RoleArn"]
    account = role.split(":")[4]
    if form.get("ExternalId") != accounts.external_id_of(account):
        raise StubError(403, "AccessDenied", "is not authorized to perform: sts:AssumeRole")
    session = f"arn:aws:sts::{account}:assumed-role/ThirdSentry/{form['RoleSessionName']}"
    result = (
        f"<Credentials><AccessKeyId>{accounts.access_key_of(account)}</AccessKeyId>"
        f"<SecretAccessKey>secret-of-{account}</SecretAccessKey>"
        f"<SessionToken>token-of-{account}</SessionToken><Expiration>{_EXPIRES}</Expiration>"
        f"</Credentials><AssumedRoleUser><AssumedRoleId>AROA:{account}</AssumedRoleId>"
        f"<Arn>{session}</Arn></AssumedRoleUser>"
    )
    return _query("AssumeRole", _STS, result)


def _caller(request: Request, _: StubSettings) -> Reply:
    arn = f"arn:aws:sts::{request.account_id}:assumed-role/ThirdSentry/stub"
    result = f"<Arn>{arn}</Arn><UserId>AROA:stub</UserId><Account>{request.account_id}</Account>"
    return _query("GetCallerIdentity", _STS, result)


def _generate_report(_: Request, __: StubSettings) -> Reply:
    return _query("GenerateCredentialReport", _IAM, "<State>COMPLETE</State>")


def _get_report(request: Request, settings: StubSettings) -> Reply:
    content = accounts.credential_report(
        request.account_id, settings.users, settings.users_without_mfa_every
    )
    result = (
        f"<Content>{content}</Content><ReportFormat>text/csv</ReportFormat>"
        f"<GeneratedTime>{accounts.GENERATED_AT}</GeneratedTime>"
    )
    return _query("GetCredentialReport", _IAM, result)


def _summary(request: Request, settings: StubSettings) -> Reply:
    numbers = {
        "AccountMFAEnabled": int(accounts.root_has_mfa(request.account_id)),
        "AccountPasswordPresent": 1,
        "AccountAccessKeysPresent": 0,
        "Users": settings.users,
    }
    entries = "".join(
        f"<entry><key>{name}</key><value>{value}</value></entry>" for name, value in numbers.items()
    )
    return _query("GetAccountSummary", _IAM, f"<SummaryMap>{entries}</SummaryMap>")


def _virtual_devices(request: Request, _: StubSettings) -> Reply:
    account = request.account_id
    if not accounts.root_has_mfa(account):
        result = "<IsTruncated>false</IsTruncated><VirtualMFADevices/>"
        return _query("ListVirtualMFADevices", _IAM, result)
    result = (
        "<IsTruncated>false</IsTruncated><VirtualMFADevices><member>"
        f"<SerialNumber>arn:aws:iam::{account}:mfa/root-account-mfa-device</SerialNumber>"
        f"<User><Path>/</Path><UserName>root</UserName><UserId>{account}</UserId>"
        f"<Arn>arn:aws:iam::{account}:root</Arn><CreateDate>{accounts.GENERATED_AT}</CreateDate>"
        f"</User><EnableDate>{accounts.GENERATED_AT}</EnableDate></member></VirtualMFADevices>"
    )
    return _query("ListVirtualMFADevices", _IAM, result)


def _password_policy(request: Request, _: StubSettings) -> Reply:
    flags = "".join(
        f"<Require{name}>true</Require{name}>"
        for name in ("Symbols", "Numbers", "UppercaseCharacters", "LowercaseCharacters")
    )
    length = accounts.password_length(request.account_id)
    result = (
        f"<PasswordPolicy><MinimumPasswordLength>{length}</MinimumPasswordLength>{flags}"
        "<PasswordReusePrevention>24</PasswordReusePrevention><ExpirePasswords>true"
        "</ExpirePasswords><MaxPasswordAge>90</MaxPasswordAge></PasswordPolicy>"
    )
    return _query("GetAccountPasswordPolicy", _IAM, result)


def _list_users(request: Request, settings: StubSettings) -> Reply:
    names = accounts.user_names(request.account_id, settings)
    form = request.form
    start, size = int(form.get("Marker", 0)), int(form.get("MaxItems", 100))
    members = "".join(
        f"<member><Path>/</Path><UserName>{name}</UserName><UserId>AIDA{name}</UserId>"
        f"<Arn>arn:aws:iam::{request.account_id}:user/{name}</Arn>"
        f"<CreateDate>{accounts.GENERATED_AT}</CreateDate></member>"
        for name in names[start : start + size]
    )
    more = start + size < len(names)
    tail = f"<IsTruncated>true</IsTruncated><Marker>{start + size}</Marker>"
    tail = tail if more else "<IsTruncated>false</IsTruncated>"
    return _query("ListUsers", _IAM, f"<Users>{members}</Users>{tail}")


def _login_profile(request: Request, _: StubSettings) -> Reply:
    result = (
        f"<LoginProfile><UserName>{request.form['UserName']}</UserName>"
        f"<CreateDate>{accounts.GENERATED_AT}</CreateDate></LoginProfile>"
    )
    return _query("GetLoginProfile", _IAM, result)


def _mfa_devices(request: Request, settings: StubSettings) -> Reply:
    name = request.form["UserName"]
    device = (
        f"<member><UserName>{name}</UserName><SerialNumber>serial-{name}</SerialNumber>"
        f"<EnableDate>{accounts.GENERATED_AT}</EnableDate></member>"
    )
    members = device if accounts.has_mfa(name, settings) else ""
    listed = f"<MFADevices>{members}</MFADevices><IsTruncated>false</IsTruncated>"
    return _query("ListMFADevices", _IAM, listed)


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
    return _json({"trailList": [trail]})


def _trail_status(_: Request, __: StubSettings) -> Reply:
    return _json({"IsLogging": True, "LatestDeliveryTime": 1_767_571_200})


def _selectors(request: Request, _: StubSettings) -> Reply:
    selector = {
        "ReadWriteType": "All",
        "IncludeManagementEvents": True,
        "DataResources": [],
        "ExcludeManagementEventSources": [],
    }
    return _json({"TrailARN": accounts.trail_arn(request.account_id), "EventSelectors": [selector]})


def _guardduty_action(request: Request) -> str:
    match request.path.strip("/").split("/")[2:]:
        case []:
            return "GetDetector" if request.path.count("/") > 1 else "ListDetectors"
        case ["administrator"]:
            return "GetAdministratorAccount"
        case ["findings"]:
            return "ListFindings"
        case ["findings", "get"]:
            return "GetFindings"
    return request.path


def _detectors(request: Request, settings: StubSettings) -> Reply:
    found = accounts.detector_id(request.account_id, request.region, settings)
    return _json({"detectorIds": [found] if found else []})


def _detector(request: Request, settings: StubSettings) -> Reply:
    _own_detector(request, settings)
    return _json({"status": "ENABLED", "serviceRole": "r", "createdAt": accounts.GENERATED_AT})


def _administrator(request: Request, settings: StubSettings) -> Reply:
    _own_detector(request, settings)
    return _json({})


def _list_findings(request: Request, settings: StubSettings) -> Reply:
    _own_detector(request, settings)
    ids = accounts.finding_ids(request.account_id, request.region, settings)
    asked = request.json
    start, size = int(asked.get("nextToken") or 0), asked.get("maxResults", 50)
    page = {"findingIds": ids[start : start + size]}
    return _json({**page, "nextToken": str(start + size)} if start + size < len(ids) else page)


def _get_findings(request: Request, settings: StubSettings) -> Reply:
    _own_detector(request, settings)
    ids = request.json["findingIds"]
    found = [accounts.finding(request.account_id, request.region, one) for one in ids]
    return _json({"findings": found})


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
    return _json({"KeyId": "key", "CiphertextBlob": base64.b64encode(wrapped).decode()})


def _decrypt(request: Request, _: StubSettings) -> Reply:
    wrapped = base64.b64decode(request.json["CiphertextBlob"])
    if wrapped != _WRAP_MARK + _context_digest(request):
        raise StubError(400, "InvalidCiphertextException", "Another encryption context.")
    plain = hashlib.sha256(wrapped).digest()
    return _json({"KeyId": "key", "Plaintext": base64.b64encode(plain).decode()})


_HANDLERS: dict[str, Callable[[Request, StubSettings], Reply]] = {
    "sts.AssumeRole": _assume_role,
    "sts.GetCallerIdentity": _caller,
    "iam.GenerateCredentialReport": _generate_report,
    "iam.GetCredentialReport": _get_report,
    "iam.GetAccountSummary": _summary,
    "iam.ListVirtualMFADevices": _virtual_devices,
    "iam.GetAccountPasswordPolicy": _password_policy,
    "iam.ListUsers": _list_users,
    "iam.GetLoginProfile": _login_profile,
    "iam.ListMFADevices": _mfa_devices,
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
