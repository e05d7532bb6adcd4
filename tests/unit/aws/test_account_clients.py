"""Clients of account sessions send exactly what botocore's own would, each as its own account."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from urllib.parse import urlsplit

import botocore.session
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import InvalidRegionError
from botocore.loaders import create_loader

from tests.unit.aws.canned import signed_region
from thirdsentry_pipeline.aws.account_clients import SERVICES, AccountClients
from thirdsentry_pipeline.aws.regional import RegionalCalls

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


def sent(client, method, parameters, lent=None):
    """What one call puts on the wire; ``lent`` is the client in another region."""
    requests = []

    def keep(request, **_):
        requests.append(request)
        return AWSResponse(request.url, 400, {}, None)

    client.meta.events.register("before-send", keep)
    with pytest.raises(Exception):  # noqa: B017, PT011 - the empty answer is of no interest
        getattr(lent or client, method)(**parameters)
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


@pytest.mark.parametrize(
    ("home", "region"),
    [
        ("us-east-1", "eu-central-1"),
        ("us-east-1", "us-east-1"),
        ("us-gov-west-1", "us-gov-east-1"),
        ("cn-north-1", "cn-northwest-1"),
    ],
)
@pytest.mark.parametrize("call", [one for one in CALLS if one[0] in {"cloudtrail", "guardduty"}])
def test_a_call_lent_to_another_region_is_the_one_of_a_client_there(clients, home, region, call):
    service, method, parameters = call
    there = clients.create(service, region, credentials("one"), CONFIG, None)
    lent = clients.create(service, home, credentials("one"), CONFIG, None)
    calls = RegionalCalls(lent)
    expected = sent(there, method, parameters)
    actual = sent(lent, method, parameters, calls.of(region))
    assert told(actual) == told(expected)
    assert signed_as(actual) == signed_as(expected)


def test_a_lent_client_is_home_again_after_the_call_and_in_other_threads(clients):
    client = clients.create("guardduty", "us-east-1", credentials("one"), CONFIG, None)
    calls = RegionalCalls(client)
    regions = ["eu-west-1", "ap-south-1", "us-east-1", "sa-east-1"]
    seen = {region: [] for region in regions}
    barrier = Barrier(len(regions))

    def keep(request, **_):
        asked = request.headers["X-Amz-Asked"].decode()
        seen[asked].append((urlsplit(request.url).hostname, signed_region(request)))
        barrier.wait(timeout=10)
        return AWSResponse(request.url, 400, {}, None)

    def ask(region):
        for _ in range(5):
            with pytest.raises(Exception):  # noqa: B017, PT011 - the empty answer does not matter
                calls.of(region).get_detector(DetectorId=region)

    client.meta.events.register(
        "before-call",
        lambda params, **_: params["headers"].update(
            {"X-Amz-Asked": params["url_path"].rpartition("/")[2]}
        ),
    )
    client.meta.events.register("before-send", keep)
    with ThreadPoolExecutor(len(regions)) as pool:
        list(pool.map(ask, regions))
    assert seen == {
        region: [(f"guardduty.{region}.amazonaws.com", region)] * 5 for region in regions
    }
    assert calls.of("us-east-1") is client


def test_a_region_that_is_no_host_name_is_refused(clients):
    calls = RegionalCalls(clients.create("iam", REGION, credentials("one"), CONFIG, None))
    with pytest.raises(InvalidRegionError):
        calls.of("eu-west-1.evil.example/")


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
