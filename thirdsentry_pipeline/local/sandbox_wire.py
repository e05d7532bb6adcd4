"""Answers in AWS's wire formats: query XML, EC2 XML, S3 XML and JSON."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from werkzeug.wrappers import Response

from thirdsentry_pipeline.local.sandbox_state import iso

if TYPE_CHECKING:
    from thirdsentry_pipeline.local.sandbox_request import AwsCall

_NAMESPACES = {
    "iam": "https://iam.amazonaws.com/doc/2010-05-08/",
    "sts": "https://sts.amazonaws.com/doc/2011-06-15/",
    "ec2": "http://ec2.amazonaws.com/doc/2016-11-15/",
    "sns": "http://sns.amazonaws.com/doc/2010-03-31/",
}
_REQUEST_ID = "00000000-0000-4000-8000-000000000000"
_XML_ERRORS = frozenset({"iam", "sts", "sns", "s3control", "unsigned"})
_ACCESS_DENIED = {
    "ec2": "UnauthorizedOperation",
    "cloudtrail": "AccessDeniedException",
    "kms": "AccessDeniedException",
    "guardduty": "AccessDeniedException",
}
_STATUS = {
    "AccessDenied": 403,
    "UnauthorizedOperation": 403,
    "AuthFailure": 401,
    "ExpiredToken": 403,
    "InvalidClientTokenId": 403,
    "UnrecognizedClientException": 403,
    "InvalidAccessKeyId": 403,
    "MissingAuthenticationToken": 403,
    "OptInRequired": 403,
    "RegionDisabledException": 403,
    "NoSuchEntity": 404,
    "ReportNotPresent": 410,
    "ReportExpired": 410,
    "ReportInProgress": 404,
    "RequestLimitExceeded": 503,
    "SlowDown": 503,
    "ServiceUnavailable": 503,
    "ServiceUnavailableException": 503,
    "InternalError": 500,
    "InternalFailure": 500,
    "InternalServerErrorException": 500,
    "TooManyRequestsException": 429,
}


class AwsError(Exception):
    """An error to answer with; ``code`` is AWS's own word."""

    def __init__(self, code: str, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


def access_denied_code(service: str) -> str:
    """How the service spells that a permission is missing."""
    return _ACCESS_DENIED.get(service, "AccessDenied")


def error_response(call: AwsCall, code: str, message: str, status: int | None = None) -> Response:
    """The error in the format the service's clients parse."""
    http_status = status or _default_status(call.service, code)
    service = call.service
    text, name = escape(message), escape(code)
    if service == "ec2":
        body = (
            f"<Response><Errors><Error><Code>{name}</Code><Message>{text}</Message></Error>"
            f"</Errors><RequestID>{_REQUEST_ID}</RequestID></Response>"
        )
    elif service == "s3":
        body = f"<Error><Code>{name}</Code><Message>{text}</Message></Error>"
    elif service in _XML_ERRORS:
        body = (
            f"<ErrorResponse><Error><Type>Sender</Type><Code>{name}</Code>"
            f"<Message>{text}</Message></Error><RequestId>{_REQUEST_ID}</RequestId>"
            "</ErrorResponse>"
        )
    else:
        return Response(
            json.dumps({"__type": code, "message": message}),
            http_status,
            {"x-amzn-ErrorType": code},
            content_type="application/json",
        )
    return Response(body, http_status, content_type="text/xml")


def _default_status(service: str, code: str) -> int:
    if code == "AccessDeniedException":
        return 403 if service == "guardduty" else 400
    return _STATUS.get(code, 400)


def json_response(document: Any, status: int = 200) -> Response:
    """A JSON answer."""
    return Response(json.dumps(document), status, content_type="application/json")


def query_response(call: AwsCall, result: dict[str, Any] | None) -> Response:
    """A query-protocol (IAM, STS) answer around ``result``."""
    operation = call.operation
    inner = "" if result is None else _xml(f"{operation}Result", result)
    body = (
        f'<{operation}Response xmlns="{_NAMESPACES[call.service]}">{inner}'
        f"<ResponseMetadata><RequestId>{_REQUEST_ID}</RequestId></ResponseMetadata>"
        f"</{operation}Response>"
    )
    return Response(body, content_type="text/xml")


def ec2_response(call: AwsCall, result: dict[str, Any]) -> Response:
    """An EC2 answer; its lists use ``item`` and its names start in lower case."""
    inner = "".join(_xml(key, value, item="item") for key, value in result.items())
    operation = call.operation
    body = (
        f'<{operation}Response xmlns="{_NAMESPACES["ec2"]}">'
        f"<requestId>{_REQUEST_ID}</requestId>{inner}</{operation}Response>"
    )
    return Response(body, content_type="text/xml")


class Entries(list[dict[str, Any]]):
    """A query-protocol map: ``entry`` elements of key and value."""

    @classmethod
    def of(cls, values: dict[str, Any]) -> Entries:
        """The map's entries."""
        return cls({"key": key, "value": value} for key, value in values.items())


def _xml(tag: str, value: Any, *, item: str = "member") -> str:
    if value is None:
        return ""
    if isinstance(value, dict):
        inner = "".join(_xml(key, child, item=item) for key, child in value.items())
    elif isinstance(value, list):
        child_tag = "entry" if isinstance(value, Entries) else item
        inner = "".join(_xml(child_tag, child, item=item) for child in value)
    elif isinstance(value, bool):
        inner = "true" if value else "false"
    elif isinstance(value, datetime):
        inner = iso(value)
    else:
        inner = escape(str(value))
    return f"<{tag}>{inner}</{tag}>"
