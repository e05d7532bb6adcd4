"""One AWS request, parsed as far as the sandbox needs: who calls what, where, with which values."""

from __future__ import annotations

import io
import json
import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

from werkzeug.exceptions import HTTPException

from thirdsentry_pipeline.local.sandbox_state import RoleSession, partition_of

PLATFORM_ACCOUNT_ID = "123456789012"
PLATFORM_USER = "thirdsentry-pipeline"
PLATFORM_PRINCIPAL_ARN = f"arn:aws:iam::{PLATFORM_ACCOUNT_ID}:user/{PLATFORM_USER}"

_SCOPE = re.compile(r"Credential=([^/]+)/\d+/([^/]+)/([^/]+)/aws4_request")
_DETECTOR_PATH = re.compile(r"^/detector(?:/([^/]+)(?:/([^/]+)(?:/([^/]+))?)?)?$")
_GUARDDUTY = {
    ("POST", None): "CreateDetector",
    ("GET", None): "ListDetectors",
    ("GET", ""): "GetDetector",
    ("POST", ""): "UpdateDetector",
    ("DELETE", ""): "DeleteDetector",
    ("GET", "administrator"): "GetAdministratorAccount",
    ("POST", "findings"): "ListFindings",
    ("POST", "findings/get"): "GetFindings",
    ("POST", "findings/create"): "CreateSampleFindings",
    ("POST", "findings/archive"): "ArchiveFindings",
    ("POST", "findings/unarchive"): "UnarchiveFindings",
}
_IAM_NAMES = {
    "s3:GetPublicAccessBlock": "s3:GetAccountPublicAccessBlock",
    "s3:PutPublicAccessBlock": "s3:PutAccountPublicAccessBlock",
    "s3:DeletePublicAccessBlock": "s3:PutAccountPublicAccessBlock",
}


@dataclass
class Caller:
    """The principal behind a request; ``session`` is set for an assumed role.

    ``seeding`` marks the account root that ``x-moto-account-id`` gives: faults pass it by.
    """

    account_id: str
    arn: str
    user_id: str = "AIDASANDBOXEXAMPLE0000"
    session: RoleSession | None = None
    seeding: bool = False


@dataclass
class AwsCall:
    """One request; ``form`` holds a query-protocol body, ``document`` a JSON one."""

    environ: dict[str, Any] = field(repr=False)
    method: str
    path: str
    query: dict[str, str]
    service: str
    operation: str
    region: str
    access_key_id: str
    form: dict[str, str] = field(default_factory=dict, repr=False)
    document: dict[str, Any] = field(default_factory=dict, repr=False)
    caller: Caller = field(default_factory=lambda: Caller("", ""))

    @property
    def partition(self) -> str:
        """The partition of the region the request was signed for."""
        return partition_of(self.region)

    @property
    def account_id(self) -> str:
        """The account whose resources the request reads or changes."""
        return self.caller.account_id

    @property
    def target_account_id(self) -> str:
        """The same, but the role's account for ``sts:AssumeRole``."""
        role_arn = self.form.get("RoleArn", "").split(":")
        if self.operation == "AssumeRole" and len(role_arn) > len("arn:"):
            return role_arn[4]
        return self.account_id

    @property
    def action(self) -> str:
        """The IAM action the call needs, such as ``guardduty:ListFindings``."""
        prefix = "s3" if self.service == "s3control" else self.service
        name = f"{prefix}:{self.operation}"
        return _IAM_NAMES.get(name, name) if self.service == "s3control" else name


def parse_call(environ: dict[str, Any]) -> AwsCall:
    """Read the request's body (and put it back) and name the service and operation."""
    body = _take_body(environ)
    path = environ.get("PATH_INFO", "/")
    query = dict(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True))
    authorization = environ.get("HTTP_AUTHORIZATION", "")
    scope = _SCOPE.search(authorization)
    key, region, service = scope.groups() if scope else ("", "us-east-1", "unsigned")
    if service == "s3" and path.startswith("/v20180820/"):
        service = "s3control"
    call = AwsCall(
        environ=environ,
        method=environ["REQUEST_METHOD"],
        path=path,
        query=query,
        service=service,
        operation="",
        region=region,
        access_key_id=key,
    )
    content_type = environ.get("CONTENT_TYPE", "")
    if content_type.startswith("application/x-www-form-urlencoded"):
        call.form = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    elif body[:1] == b"{" and service not in {"s3", "s3control"}:
        call.document = _json_object(body)
    call.operation = _operation(call)
    return call


def _take_body(environ: dict[str, Any]) -> bytes:
    length = environ.get("CONTENT_LENGTH")
    stream = environ["wsgi.input"]
    if length:
        body: bytes = stream.read(int(length))
    elif environ.get("wsgi.input_terminated"):
        body = stream.read()
        environ["CONTENT_LENGTH"] = str(len(body))
        environ.pop("HTTP_TRANSFER_ENCODING", None)
    else:
        body = b""
    environ["wsgi.input"] = io.BytesIO(body)
    return body


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(body)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _operation(call: AwsCall) -> str:
    action = call.form.get("Action") or call.query.get("Action")
    if action:
        return action
    target = call.environ.get("HTTP_X_AMZ_TARGET")
    if target:
        return str(target).rsplit(".", 1)[-1]
    if call.service == "guardduty":
        return _guardduty_operation(call)
    return _rest_operation(call)


def _guardduty_operation(call: AwsCall) -> str:
    match = _DETECTOR_PATH.match(call.path)
    if match:
        detector, first, second = match.groups()
        rest = None if detector is None else "/".join(part for part in (first, second) if part)
        named = _GUARDDUTY.get((call.method, rest))
        if named:
            return named
    return _rest_operation(call)


def _rest_operation(call: AwsCall) -> str:
    from moto.core.request import Request  # noqa: PLC0415 - moto is heavy, loaded when serving

    try:
        operation, _ = _router(call.service).match(Request(call.environ.copy()))
    except (HTTPException, NotImplementedError, LookupError, ValueError, OSError):
        return "Unknown"
    finally:
        call.environ["wsgi.input"].seek(0)
    return str(operation.name)


@lru_cache(maxsize=32)
def _router(service: str) -> Any:
    from moto.core.routing import get_service_router  # noqa: PLC0415 - as above

    return get_service_router(service)
