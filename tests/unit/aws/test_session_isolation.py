"""Two open sessions have nothing in common that knows whose it is."""

from itertools import product
from types import FunctionType, MethodType

import pytest
from botocore.credentials import Credentials

from tests.unit.aws.canned import signing_key
from thirdsentry_pipeline.aws.account_session import AccountSession
from thirdsentry_pipeline.aws.errors import DeadlinePassedError
from thirdsentry_pipeline.aws.sessions import PlatformAws, SessionCredentials
from thirdsentry_pipeline.domain.identifiers import RoleArn

OURS = ("botocore", "thirdsentry_pipeline")
ACCOUNTS = ("111111111111", "222222222222")
QUESTIONS = {
    "sts": "get_caller_identity",
    "iam": "get_account_summary",
    "ec2": "describe_regions",
    "cloudtrail": "describe_trails",
    "guardduty": "list_detectors",
    "s3control": "get_public_access_block",
}
GIVEN = {"s3control": {"AccountId": "111111111111"}}


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
    identity = client._identity
    return {
        "client": client,
        "identity": identity,
        "signer": identity.signer,
        "credentials": identity.signer._credentials,
        "signing keys": identity.signer._keys,
        "budget of retries": identity.retries,
        "transport": identity.transport,
    }


def members(value):
    """What an object holds, in a dictionary or in slots."""
    slots = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
    named = [getattr(value, name) for name in slots if hasattr(value, name)]
    return [*getattr(value, "__dict__", {}).values(), *named]


def credentials_within(root):
    """The access keys of all credentials that can be reached from an object of ours or botocore's."""
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
            open_ends += members(value)
    return found


def ask(session, service):
    """Call a service with parameters that say nothing of an account, as far as the signature."""
    client = session.client(service, "us-east-1")
    signed = []

    def keep(request, _action):
        signed.append(request)
        raise DeadlinePassedError

    session._transport.send = keep
    with pytest.raises(DeadlinePassedError):
        getattr(client, QUESTIONS[service])(**GIVEN.get(service, {}))
    return signed[0]


@pytest.mark.parametrize("service", sorted(QUESTIONS))
def test_two_sessions_share_no_signer_budget_or_transport(sessions, service):
    first, second = (private_parts(one.client(service, "us-east-1")) for one in sessions)
    assert not {id(one) for one in first.values()} & {id(one) for one in second.values()}


@pytest.mark.parametrize("service", sorted(QUESTIONS))
def test_what_clients_share_holds_no_credentials(sessions, service):
    dialects = sessions[0]._platform._dialects
    for one in sessions:
        client = one.client(service, "us-east-1")
        request = ask(one, service)
        assert f"ASIA{one.account_id}" in request.headers["Authorization"]
        assert credentials_within(client) == {f"ASIA{one.account_id}"}
        assert client._identity.dialect is dialects.of(service, "us-east-1")
    assert credentials_within(dialects) == set()
    kept = dialects.of(service, "us-east-1")._composed
    for secret in ("ASIA", "token-", "secret-", "Authorization", "111111111111"):
        assert secret not in repr(kept)
    # Other tests of this process may have asked for more.
    asked = [key for key in kept if key[:2] == (QUESTIONS[service], "us-east-1")]
    assert len(asked) == (service not in GIVEN)


def test_two_sessions_share_no_connection(sessions):
    for one in sessions:
        one._transport._session_for("http://127.0.0.1:1/")
    first, second = (one._transport for one in sessions)
    assert first._connections is not second._connections
    assert first._connections._idle is not second._connections._idle
    for ours, theirs in product(first._sessions.values(), second._sessions.values()):
        assert ours is not theirs
        assert ours._manager is not theirs._manager
        assert ours._manager.pools is not theirs._manager.pools


def test_a_client_signs_with_the_same_credentials_for_its_whole_life(sessions):
    mine, other = sessions
    client = mine.client("guardduty", "us-east-1")
    bound = client._identity.signer._credentials
    keys = []

    def keep(request, _action):
        keys.append(signing_key(request))
        raise DeadlinePassedError

    mine._transport.send = keep
    for region in ("us-east-1", "eu-west-1", "us-east-1"):
        with pytest.raises(DeadlinePassedError):
            mine.client("guardduty", region).list_detectors()
        other.client("guardduty", region)
    assert keys == [f"ASIA{mine.account_id}"] * 3
    assert client._identity.signer._credentials is bound
    assert client is mine.client("guardduty", "us-east-1")


def test_what_all_sessions_share_can_send_nothing(sessions):
    dialect = sessions[0]._platform._dialects.of("iam", "us-east-1")
    sent = dialect._client.list_users()
    assert sent[0].name == "ListUsers"
    assert not hasattr(dialect._client._endpoint, "http_session")


def test_no_secret_shows_in_what_a_session_is_made_of(sessions):
    client = sessions[0].client("iam", "us-east-1")
    request = ask(sessions[0], "iam")
    identity = client._identity
    for shown in (client, identity, identity.signer, identity.retries, request, sessions[0]):
        assert "ASIA" not in repr(shown)
        assert "token-" not in repr(shown)
