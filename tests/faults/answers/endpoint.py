"""AWS's end of the line, in this process: requests come in as signed, answers go out as bytes.

It stands where the connections stand, so everything above is the product's own: the clients,
the signing, the transport, the parsers, the readers and the rules.
"""

import json
import re
from contextlib import contextmanager
from http.client import HTTPException
from types import SimpleNamespace
from unittest.mock import patch
from urllib.parse import parse_qs, unquote, urlsplit

from botocore.exceptions import ConnectionClosedError
from urllib3 import HTTPHeaderDict

from thirdsentry_pipeline.aws.account_session import AccountSession
from thirdsentry_pipeline.aws.answer_reader import Answer
from thirdsentry_pipeline.aws.connections import Connections
from thirdsentry_pipeline.aws.sessions import PlatformAws, SessionCredentials
from thirdsentry_pipeline.aws.transport import Transport
from thirdsentry_pipeline.domain.identifiers import RoleArn

ACCOUNT = "111122223333"
ROLE = RoleArn.parse(f"arn:aws:iam::{ACCOUNT}:role/ThirdSentry")
_SCOPE = re.compile(r"Credential=[^/]*/\d+/([a-z0-9-]+)/([a-z0-9-]+)/")
_GUARDDUTY = {
    "": "guardduty.ListDetectors",
    "/x": "guardduty.GetDetector",
    "/x/administrator": "guardduty.GetAdministratorAccount",
    "/x/findings": "guardduty.ListFindings",
    "/x/findings/get": "guardduty.GetFindings",
}


class Request(SimpleNamespace):
    """``action``, ``region``, ``token`` (of a page) and ``name`` (what is asked about)."""

    @property
    def key(self):
        return self.action, self.region, self.name, self.token


def read_request(sent):
    region, service = _SCOPE.search(sent.headers["Authorization"]).groups()
    body = sent.body or b""
    token = name = None
    if service in {"iam", "ec2"}:
        form = parse_qs(body.decode())
        action = f"{service}.{form['Action'][0]}"
        token = form.get("Marker", [None])[0]
        name = form.get("UserName", [None])[0]
    elif service == "cloudtrail":
        action = "cloudtrail." + sent.headers["X-Amz-Target"].rpartition(".")[2]
        form = json.loads(body)
        name = form.get("Name") or form.get("TrailName")
    elif service == "guardduty":
        url = urlsplit(sent.url)
        path = url.path.removeprefix("/detector")
        detector, slash, rest = path.removeprefix("/").partition("/")
        name = unquote(detector) or None
        action = _GUARDDUTY[("/x" + slash + rest) if name else ""]
        form = json.loads(body) if body else {}
        token = form.get("nextToken") or parse_qs(url.query).get("nextToken", [None])[0]
    else:
        action = "s3-control.GetPublicAccessBlock"
    return Request(action=action, region=region, token=token, name=name)


class Endpoint:
    """Answers each request by ``answer(request)``; keeps the last answer to each one."""

    def __init__(self, answer=None):
        self.answer = answer
        self.served = {}
        self.requests = 0

    def exchange(self, sent, _limits):
        """The answer to a request, if it comes and is whole."""
        request = read_request(sent)
        given = self.answer(request)
        self.requests += 1
        self.served[request.key] = given
        if isinstance(given.failure, HTTPException):
            raise ConnectionClosedError(endpoint_url=sent.url) from given.failure
        if given.failure is not None:
            raise given.failure
        if given.received is None:
            raise ConnectionClosedError(endpoint_url=sent.url)
        headers = {"Content-Length": str(len(given.body)), **given.headers}
        return Answer(given.status, HTTPHeaderDict(headers), given.received)


@contextmanager
def line_to(endpoint):
    """While open, every transport sends to ``endpoint``, and retries don't pause."""
    with (
        patch.object(Connections, "exchange", lambda _, *sent: endpoint.exchange(*sent)),
        patch.object(Transport, "pause", lambda *_: None),
    ):
        yield endpoint


def open_session(platform=None):
    """A session in the account, as AssumeRole would have opened it."""
    platform = platform or PlatformAws(region="us-east-1")
    credentials = SessionCredentials("AKIDEXAMPLE", "example", "token")
    return AccountSession(platform, ROLE, credentials, platform.new_transport())
