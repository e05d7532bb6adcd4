"""What the stub's requests and replies are made of, in the wire formats of AWS."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

from benchmarks import stub_accounts as accounts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.stub_accounts import StubSettings

    Handler = Callable[["Request", StubSettings], "Reply"]


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


def error_reply(service: str, error: StubError) -> Reply:
    if service in {"cloudtrail", "kms", "guardduty", "organizations"}:
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


def query_reply(action: str, namespace: str, result: str) -> Reply:
    """An answer of the query protocol; ``result`` is the XML within."""
    text = (
        f'<{action}Response xmlns="{namespace}"><{action}Result>{result}</{action}Result>'
        f"<ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></{action}Response>"
    )
    return Reply(200, "text/xml", text.encode())


def json_reply(body: Any) -> Reply:
    """An answer of the JSON protocols."""
    return Reply(200, "application/x-amz-json-1.1", json.dumps(body).encode())
