"""Two open sessions have nothing in common that knows whose it is."""

from itertools import product
from types import FunctionType, MethodType

import pytest
from botocore.credentials import Credentials

from tests.unit.aws.canned import signing_key
from thirdsentry_pipeline.aws.account_clients import SERVICES
from thirdsentry_pipeline.aws.account_session import AccountSession
from thirdsentry_pipeline.aws.errors import DeadlinePassedError
from thirdsentry_pipeline.aws.sessions import PlatformAws, SessionCredentials
from thirdsentry_pipeline.domain.identifiers import RoleArn

OURS = ("botocore", "thirdsentry_pipeline")
ACCOUNTS = ("111111111111", "222222222222")


def open_session(platform, account):
    return AccountSession(
        platform,
        RoleArn.parse(f"arn:aws:iam::{account}:role/R"),
        SessionCredentials(f"ASIA{account}", f"secret-{account}", f"token-{account}"),
        platform.new_transport(),
    )


@pytest.fixture
def sessions():
    platform = PlatformAws(endpoint_url="http://127.0.0.1:1", region="us-east-1")
    opened = [open_session(platform, account) for account in ACCOUNTS]
    yield opened
    for one in opened:
        one.close()


def private_parts(client):
    """What of a client acts for its account; all the rest is models and settings."""
    signer = client._request_signer
    return {
        "client": client,
        "signer": signer,
        "credentials": signer._credentials,
        "handlers": client.meta.events,
        "endpoint": client._endpoint,
        "rules": client._ruleset_resolver,
        "rules' values": client._ruleset_resolver._builtins,
    }


def credentials_within(root):
    """The access keys of all credentials that can be reached from an object of botocore's."""
    found, seen, open_ends = set(), {}, [root]
    while open_ends:
        value = open_ends.pop()
        if id(value) in seen:
            continue
        seen[id(value)] = value
        if isinstance(value, Credentials):
            found.add(value.access_key)
        elif isinstance(value, dict):
            open_ends += [*value.keys(), *value.values()]
        elif isinstance(value, list | tuple | set | frozenset):
            open_ends += value
        elif isinstance(value, MethodType):
            open_ends.append(value.__self__)
        elif isinstance(value, FunctionType):
            open_ends += [cell.cell_contents for cell in value.__closure__ or ()]
        elif not isinstance(value, type) and type(value).__module__.startswith(OURS):
            open_ends += vars(value).values() if hasattr(value, "__dict__") else ()
    return found


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_two_sessions_share_no_signer_handler_or_endpoint(sessions, service):
    first, second = (private_parts(one.client(service, "us-east-1")) for one in sessions)
    assert not {id(one) for one in first.values()} & {id(one) for one in second.values()}


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_what_clients_share_holds_no_credentials(sessions, service):
    for one in sessions:
        client = one.client(service, "us-east-1")
        assert credentials_within(client) == {f"ASIA{one.account_id}"}
    creator = sessions[0]._platform._accounts._creators[service]
    assert credentials_within(creator) == set()


def test_two_sessions_share_no_connection(sessions):
    for one in sessions:
        one._transport._session_for("http://127.0.0.1:1/")
    first, second = (one._transport._sessions.values() for one in sessions)
    for ours, theirs in product(first, second):
        assert ours is not theirs
        assert ours._manager is not theirs._manager
        assert ours._manager.pools is not theirs._manager.pools


def test_a_client_signs_with_the_same_credentials_for_its_whole_life(sessions):
    mine, other = sessions
    client = mine.client("guardduty", "us-east-1")
    bound = client._request_signer._credentials
    keys = []
    client.meta.events.register_first(
        "before-send", lambda request, **_: keys.append(signing_key(request))
    )
    mine.stop_after(-1.0)  # sent nowhere: only signed
    for region in ("us-east-1", "eu-west-1", "us-east-1"):
        with pytest.raises(DeadlinePassedError):
            mine.client("guardduty", region).list_detectors()
        other.client("guardduty", region)
    assert set(keys) == {f"ASIA{mine.account_id}"}
    assert client._request_signer._credentials is bound
    assert client is mine.client("guardduty", "us-east-1")


def test_a_client_sends_nothing_around_its_transport(sessions):
    client = sessions[0].client("iam", "us-east-1")
    with pytest.raises(RuntimeError, match="has no transport"):
        client._endpoint.http_session.send(None)
