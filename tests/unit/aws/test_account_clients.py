"""Clients of account sessions send exactly what botocore's own would, each as its own account."""

import botocore.session
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.loaders import create_loader

from thirdsentry_pipeline.aws.account_clients import SERVICES, AccountClients

REGION = "eu-west-1"
CONFIG = Config(retries={"mode": "standard", "total_max_attempts": 4})
CALLS = [
    ("sts", "get_caller_identity", {}),
    (
        "sts",
        "assume_role",
        {"RoleArn": "arn:aws:iam::111111111111:role/R", "RoleSessionName": "session"},
    ),
    ("iam", "list_users", {"MaxItems": 5}),
    ("iam", "get_credential_report", {}),
    ("ec2", "describe_regions", {"AllRegions": True}),
    ("cloudtrail", "describe_trails", {"includeShadowTrails": True}),
    ("guardduty", "list_detectors", {"MaxResults": 50}),
    ("guardduty", "list_findings", {"DetectorId": "d", "FindingCriteria": {"Criterion": {}}}),
    ("s3control", "get_public_access_block", {"AccountId": "111111111111"}),
]
# They hold the moment, an invocation's id or the running process.
VARY = {"authorization", "x-amz-date", "amz-sdk-invocation-id", "user-agent"}


def credentials(name):
    return Credentials(f"AKIA{name}", f"secret-{name}", f"token-{name}")


@pytest.fixture(scope="module")
def clients():
    return AccountClients(create_loader(None))


def sent(client, method, parameters):
    """What one call puts on the wire."""
    requests = []

    def keep(request, **_):
        requests.append(request)
        return AWSResponse(request.url, 400, {}, None)

    client.meta.events.register("before-send", keep)
    with pytest.raises(Exception):  # noqa: B017, PT011 - the empty answer is of no interest
        getattr(client, method)(**parameters)
    (request,) = requests[:1]
    return request


def told(request):
    headers = {
        name.lower(): value for name, value in request.headers.items() if name.lower() not in VARY
    }
    return request.method, request.url, headers, request.body


def signed_as(request):
    """Key, day, region, service and signed headers: all of the header but the signature."""
    return request.headers["Authorization"].split(b"Signature=")[0]


@pytest.mark.parametrize(
    ("service", "method", "parameters"), CALLS, ids=[f"{one[0]}-{one[1]}" for one in CALLS]
)
def test_a_call_is_the_one_botocores_own_client_sends(clients, service, method, parameters):
    own = botocore.session.Session().create_client(
        service,
        region_name=REGION,
        config=CONFIG,
        aws_access_key_id="AKIAone",
        aws_secret_access_key="secret-one",
        aws_session_token="token-one",
    )
    ours = clients.create(service, REGION, credentials("one"), CONFIG, None)
    expected, actual = sent(own, method, parameters), sent(ours, method, parameters)
    assert told(actual) == told(expected)
    assert (
        signed_as(actual).split(b"Credential=")[1] == signed_as(expected).split(b"Credential=")[1]
    )


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_two_clients_of_a_service_share_no_credentials_or_handlers(clients, service):
    first = clients.create(service, REGION, credentials("first"), CONFIG, None)
    second = clients.create(service, REGION, credentials("second"), CONFIG, None)
    heard = []
    first.meta.events.register("before-send", lambda **_: heard.append("first"))
    method, parameters = next((call[1], call[2]) for call in CALLS if call[0] == service)
    request = sent(second, method, parameters)
    assert heard == []
    assert b"AKIAsecond" in signed_as(request)
    assert request.headers["X-Amz-Security-Token"] in {"token-second", b"token-second"}


def test_a_service_whose_handlers_are_left_out_has_no_client(clients):
    with pytest.raises(ValueError, match="no client of s3"):
        clients.create("s3", REGION, credentials("one"), CONFIG, None)
