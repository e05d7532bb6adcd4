"""Clients of account sessions send exactly what botocore's own would, each as its own account."""

import copy
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier
from urllib.parse import urlsplit
from uuid import UUID

import botocore.session
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import (
    ClientError,
    InvalidRegionError,
    NoCredentialsError,
    ParamValidationError,
)
from botocore.loaders import create_loader

from tests.unit.aws.canned import Line, signed_region
from thirdsentry_pipeline.aws import account_client
from thirdsentry_pipeline.aws.account_client import AccountClient
from thirdsentry_pipeline.aws.dialects import SERVICES, Dialects

REGION = "eu-west-1"
CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 4}, user_agent_extra="thirdsentry-pipeline"
)
LOADER = create_loader(None)
CALLS = [
    ("sts", "get_caller_identity", {}),
    (
        "sts",
        "assume_role",
        {
            "RoleArn": "arn:aws:iam::111111111111:role/R",
            "RoleSessionName": "session",
            "DurationSeconds": 900,
            "ExternalId": "an id, and more = than & letters",
            "Policy": '{"Version": "2012-10-17"}',
        },
    ),
    ("iam", "get_account_summary", {}),
    ("iam", "get_account_password_policy", {}),
    ("iam", "list_users", {"MaxItems": 5, "Marker": "a/b+c=="}),
    ("iam", "list_virtual_mfa_devices", {"AssignmentStatus": "Assigned", "MaxItems": 1000}),
    ("iam", "list_mfa_devices", {"UserName": "zoë"}),
    ("iam", "get_login_profile", {"UserName": "a b"}),
    ("iam", "generate_credential_report", {}),
    ("iam", "get_credential_report", {}),
    ("ec2", "describe_regions", {"AllRegions": True}),
    ("cloudtrail", "describe_trails", {"includeShadowTrails": True}),
    ("cloudtrail", "get_trail_status", {"Name": "arn:aws:cloudtrail:eu-west-1:1:trail/t"}),
    ("cloudtrail", "get_event_selectors", {"TrailName": "tür"}),
    ("guardduty", "list_detectors", {"MaxResults": 50}),
    ("guardduty", "list_detectors", {"MaxResults": 50, "NextToken": "a/b+c== &"}),
    ("guardduty", "get_detector", {"DetectorId": "d/../e f"}),
    ("guardduty", "get_administrator_account", {"DetectorId": "d"}),
    (
        "guardduty",
        "list_findings",
        {"DetectorId": "d", "FindingCriteria": {"Criterion": {"severity": {"Gte": 7}}}},
    ),
    ("guardduty", "get_findings", {"DetectorId": "d", "FindingIds": ["f", "ü"]}),
    ("s3control", "get_public_access_block", {"AccountId": "111111111111"}),
    (
        "kms",
        "decrypt",
        {"KeyId": "alias/a", "CiphertextBlob": b"\0x", "EncryptionContext": {"a": "ü"}},
    ),
]
HOMES = {"aws": "us-east-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}


def credentials(name):
    return Credentials(f"AKIA{name}", f"secret-{name}", f"token-{name}")


@pytest.fixture(scope="module")
def dialects():
    return Dialects(LOADER, CONFIG, None)


@pytest.fixture(scope="module")
def botocores_own():
    """botocore's own client of a service in a region, made as its documentation says."""
    session = botocore.session.Session()
    session.register_component("data_loader", LOADER)
    made = {}

    def client(service, region, endpoint_url=None):
        key = (service, region, endpoint_url)
        if key not in made:
            made[key] = session.create_client(
                service,
                region_name=region,
                config=CONFIG,
                endpoint_url=endpoint_url,
                aws_access_key_id="AKIAone",
                aws_secret_access_key="secret-one",
                aws_session_token="token-one",
            )
        return made[key]

    return client


@pytest.fixture
def _one_moment(monkeypatch):
    """What differs from call to call stands still: the time and the invocation's id."""
    now = datetime(2026, 11, 26, 1, 2, 3, tzinfo=UTC).replace(tzinfo=None)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: now)
    monkeypatch.setattr("botocore.endpoint.uuid.uuid4", lambda: UUID(int=7))
    monkeypatch.setattr(account_client, "new_invocation_id", lambda: str(UUID(int=7)))


def client_of(dialects, service, home=REGION, name="one"):
    """One of our clients, and the line on which its requests arrive."""
    line = Line(lambda *_: (400, b""))
    return AccountClient.bound(dialects.of(service, home), credentials(name), line), line


def sent(client, line, method, parameters):
    """What one call of ours puts on the wire."""
    with pytest.raises(Exception):  # noqa: B017, PT011 - the empty answer is of no interest
        getattr(client, method)(**parameters)
    request = line.requests.pop(0)
    line.requests.clear()
    return request


def sent_by_botocore(client, method, parameters):
    requests = []

    def keep(request, **_):
        requests.append(copy.copy(request))
        return AWSResponse(request.url, 400, {}, None)

    client.meta.events.register("before-send", keep, unique_id="keep")
    try:
        with pytest.raises(Exception):  # noqa: B017, PT011 - the empty answer is of no interest
            getattr(client, method)(**parameters)
    finally:
        client.meta.events.unregister("before-send", keep, unique_id="keep")
    return requests[0]


def text(value):
    return value.decode() if isinstance(value, bytes) else value


def told(request):
    """All of a request; of the User-Agent only that it is botocore's, with our name."""
    headers = {name.lower(): text(value) for name, value in request.headers.items()}
    agent = headers.pop("user-agent")
    assert agent.startswith("Boto")
    assert agent.endswith("thirdsentry-pipeline")
    return request.method, request.url, headers, text(request.body)


@pytest.mark.usefixtures("_one_moment")
@pytest.mark.parametrize("call", CALLS, ids=[f"{one[0]}-{one[1]}" for one in CALLS])
@pytest.mark.parametrize("endpoint_url", [None, "http://127.0.0.1:4566"], ids=["aws", "sandbox"])
def test_a_call_is_the_one_botocores_own_client_sends_signature_included(
    botocores_own, dialects, call, endpoint_url
):
    service, method, parameters = call
    if endpoint_url is not None:
        dialects = Dialects(LOADER, CONFIG, endpoint_url)
    own = botocores_own(service, REGION, endpoint_url)
    expected = told(sent_by_botocore(own, method, parameters))
    client, line = client_of(dialects, service)
    # Twice: the second time what could be kept is not made anew.
    for _ in range(2):
        assert told(sent(client, line, method, parameters)) == expected
    assert "Credential=AKIAone/20261126/" in expected[2]["authorization"]


@pytest.mark.usefixtures("_one_moment")
@pytest.mark.parametrize("partition", HOMES)
def test_a_call_to_any_region_is_the_one_of_botocores_own_client_there(
    botocores_own, dialects, partition
):
    home = HOMES[partition]
    calls = {service: (method, given) for service, method, given in reversed(CALLS)}
    regions = botocore.session.Session().get_available_regions("guardduty", partition)
    assert home in regions
    for service, (method, given) in calls.items():
        client, line = client_of(dialects, service, home)
        regional = service in {"cloudtrail", "guardduty"}
        for region in regions if regional else [home]:
            expected = sent_by_botocore(botocores_own(service, region), method, given)
            assert told(sent(client.of(region), line, method, given)) == told(expected)


def test_clients_of_many_regions_and_threads_keep_to_their_own(dialects):
    regions = ["eu-west-1", "ap-south-1", "us-east-1", "sa-east-1"]
    seen = {region: [] for region in regions}
    barrier = Barrier(len(regions))

    def answer(request, _action):
        asked = request.url.rpartition("/")[2]
        seen[asked].append((urlsplit(request.url).hostname, signed_region(request)))
        barrier.wait(timeout=10)
        return 400, b""

    line = Line(answer)
    home = AccountClient.bound(dialects.of("guardduty", "us-east-1"), credentials("one"), line)

    def ask(region):
        for _ in range(5):
            with pytest.raises(ClientError):
                home.of(region).get_detector(DetectorId=region)

    with ThreadPoolExecutor(len(regions)) as pool:
        list(pool.map(ask, regions))
    assert seen == {
        region: [(f"guardduty.{region}.amazonaws.com", region)] * 5 for region in regions
    }
    assert home.of("us-east-1") is home


@pytest.mark.usefixtures("_one_moment")
@pytest.mark.parametrize("call", [CALLS[0], CALLS[-2]], ids=["v4", "s3v4"])
def test_credentials_without_a_token_and_renewed_ones_sign_as_botocore_does(dialects, call):
    """As the platform's own credentials may be."""
    service, method, parameters = call
    session = botocore.session.Session()
    session.register_component("data_loader", LOADER)
    own = session.create_client(
        service,
        region_name=REGION,
        config=CONFIG,
        aws_access_key_id="AKIAown",
        aws_secret_access_key="secret-own",
    )
    given, line = Credentials("AKIAold", "secret-old", "token-old"), Line(lambda *_: (400, b""))
    client = AccountClient.bound(dialects.of(service, REGION), given, line)
    assert "Credential=AKIAold/" in sent(client, line, method, parameters).headers["Authorization"]
    given.access_key, given.secret_key, given.token = "AKIAown", "secret-own", None
    expected = sent_by_botocore(own, method, parameters)
    assert told(sent(client, line, method, parameters)) == told(expected)


def test_without_credentials_nothing_is_sent(dialects):
    line = Line(lambda *_: (200, b""))
    client = AccountClient.bound(dialects.of("iam", REGION), None, line)
    with pytest.raises(NoCredentialsError):
        client.list_users()
    assert line.requests == []


def test_a_region_that_is_no_host_name_is_refused(dialects):
    with pytest.raises(InvalidRegionError):
        client_of(dialects, "iam")[0].of("eu-west-1.evil.example/")


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_two_clients_of_a_service_sign_as_their_own_accounts_in_turns(dialects, service):
    method, given = next((call[1], call[2]) for call in CALLS if call[0] == service)
    clients = {name: client_of(dialects, service, name=name) for name in ("first", "second")}
    for name in ("first", "second", "first", "second"):
        request = sent(*clients[name], method, given)
        assert f"Credential=AKIA{name}/" in request.headers["Authorization"]
        assert request.headers["X-Amz-Security-Token"] == f"token-{name}"
    first, second = (
        sent(*clients[name], method, given).headers["Authorization"].partition("Signature=")[2]
        for name in clients
    )
    assert first != second


def test_a_request_of_flags_and_numbers_alone_is_composed_once_for_all(dialects):
    dialect = dialects.of("guardduty", REGION)
    shared = [dialect.compose("list_detectors", {"MaxResults": 50}, REGION) for _ in range(2)]
    assert shared[0] is shared[1]
    assert dialect.compose("list_detectors", {"MaxResults": 50}, "eu-west-3") is not shared[0]
    own = [dialect.compose("get_detector", {"DetectorId": "d"}, REGION) for _ in range(2)]
    assert own[0] is not own[1]


def test_parameters_that_the_model_does_not_know_are_refused_before_anything_is_sent(dialects):
    client, line = client_of(dialects, "guardduty")
    for wrong in ({"MaxResults": "many"}, {"Most": 5}):
        with pytest.raises(ParamValidationError):
            client.list_detectors(**wrong)
    with pytest.raises(AttributeError, match="no operation list_everything"):
        client.list_everything()
    assert line.requests == []


def test_a_service_whose_handlers_are_left_out_has_no_client(dialects):
    with pytest.raises(ValueError, match="no client of s3"):
        dialects.of("s3", REGION)
