"""AWS answers given as bytes: botocore parses them as it parses the real ones."""

import functools
import json
from collections import deque
from io import BytesIO

from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.loaders import create_loader

from thirdsentry_pipeline.aws.account_client import AccountClient
from thirdsentry_pipeline.aws.account_session import AccountSession
from thirdsentry_pipeline.aws.dialects import Dialects
from thirdsentry_pipeline.aws.sessions import PlatformAws, SessionCredentials
from thirdsentry_pipeline.domain.identifiers import RoleArn

ACCOUNT = "111122223333"
ROLE = RoleArn.parse(f"arn:aws:iam::{ACCOUNT}:role/ThirdSentry")


class _Raw(BytesIO):
    def stream(self, **_):
        yield self.read()


class Line:
    """Stands in for a client's transport: ``answer(request, action)`` gives status and body."""

    def __init__(self, answer):
        self._answer = answer
        self.requests = []

    def send(self, request, action):
        self.requests.append(request)
        status, body = self._answer(request, action)
        return AWSResponse(request.url, status, {}, _Raw(body))

    def pause(self, _seconds):
        """Another attempt comes at once."""

    def note_throttle(self, _answer, _parsed):
        """Nobody counts here."""


@functools.cache
def dialects():
    """The services' dialects, a call sent once whatever comes."""
    config = Config(retries={"mode": "standard", "total_max_attempts": 1})
    return Dialects(create_loader(None), config, None)


class CannedAws:
    """Stands in for ``PlatformAws``: the product's own clients, whose requests never
    leave the process.

    ``answer("iam.ListUsers", body, …)`` queues answers, for one region or for all. A body is a
    dict (JSON), a text (XML), bytes, or an exception to raise while sending. The last answer of
    a queue repeats.
    """

    def __init__(self):
        self._platform = PlatformAws(region="us-east-1")
        self._answers = {}
        self.requests = []

    def answer(self, action, *bodies, region=None, status=200):
        queue = self._answers.setdefault((action, region), deque())
        queue.extend((status, body) for body in bodies)

    def deny(self, action, code="AccessDeniedException", message="no", region=None, status=403):
        """An error in the form the action's service uses."""
        service = action.split(".")[0]
        if service in {"iam", "sts"}:
            body = (
                f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code>"
                f"<Message>{message}</Message></Error></ErrorResponse>"
            )
        elif service == "ec2":
            body = (
                f"<Response><Errors><Error><Code>{code}</Code>"
                f"<Message>{message}</Message></Error></Errors></Response>"
            )
        elif service == "s3-control":
            body = (
                f"<ErrorResponse><Error><Code>{code}</Code>"
                f"<Message>{message}</Message></Error></ErrorResponse>"
            )
        else:
            body = {"__type": code, "message": message}
        self.answer(action, body, region=region, status=status)

    def called(self, action):
        return [request for request in self.requests if request[0] == action]

    # --- the part of PlatformAws that sessions use

    def new_transport(self):
        return self._platform.new_transport()

    def regions_of(self, partition):
        return self._platform.regions_of(partition)

    def client(self, service, region=None, credentials=None, *, transport=None):
        own = Credentials("AKIDEXAMPLE", "example")
        return AccountClient.bound(dialects().of(service, region), own, Line(self._send))

    def _send(self, request, action):
        region = signed_region(request)
        self.requests.append((action, region, request))
        queue = self._answers.get((action, region)) or self._answers[action, None]
        status, body = queue.popleft() if len(queue) > 1 else queue[0]
        if isinstance(body, BaseException):
            raise body
        if isinstance(body, dict):
            body = json.dumps(body)
        if isinstance(body, str):
            body = body.encode("utf-8", "surrogatepass")
        return status, body

    def session(self, role=ROLE):
        """An open session in the account whose answers these are."""
        credentials = SessionCredentials("AKIDEXAMPLE", "example", "token")
        return AccountSession(self, role, credentials, self.new_transport())


def signed_region(request):
    """The region a request is signed for."""
    return request.headers["Authorization"].split("/")[2]


def xml(operation, inner):
    """An answer of a service that speaks the query protocol (IAM, STS)."""
    return (
        f"<{operation}Response><{operation}Result>{inner}</{operation}Result>"
        f"<ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></{operation}Response>"
    )


def signing_key(request):
    """The access key id a request is signed with."""
    return request.headers["Authorization"].split("Credential=")[1].split("/")[0]
