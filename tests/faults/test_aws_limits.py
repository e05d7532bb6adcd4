"""Faults 19, 20, 23: throttled, expired, looping, hanging and broken calls, in one process."""

import random
import threading
from contextlib import contextmanager

import pytest

from tests.faults.answers.account import Account
from tests.faults.answers.case import ALL, TYPE_OF, Laboratory
from tests.faults.answers.documents import EXPECTED
from tests.faults.answers.endpoint import open_session
from tests.faults.answers.wire import answer_of, error_answer, tree_of
from tests.unit.aws.test_transport import OK, server, session_at, trickle, whole
from tests.waiting import retry_at_once
from thirdsentry_pipeline.aws.collect import collect_account
from thirdsentry_pipeline.domain.evidence import ErrorCode

GOOD = dict.fromkeys(EXPECTED, "good")
ATTEMPTS = 4


@pytest.fixture
def laboratory():
    with Laboratory().open() as laboratory:
        yield laboratory


class Throttled:
    """An account of which a share of the calls is throttled, the same ones for one seed."""

    def __init__(self, share, seed):
        self._account = Account(GOOD)
        self._share = share
        self._dice = random.Random(seed)  # noqa: S311 - replayed, not secret

    def answer(self, request):
        if self._dice.random() < self._share:
            return error_answer(request.action, "ThrottlingException", "Rate exceeded", 400)
        return self._account.answer(request)


@pytest.mark.fault(19)
@pytest.mark.parametrize("share", [0.3, 0.7, 1.0])
def test_throttled_reads_are_complete_or_unknown_within_the_budget_of_calls(laboratory, share):
    twin = laboratory.collect(Account(GOOD)).readings
    for seed in range(10):
        before = laboratory.endpoint.requests
        readings = laboratory.collect(Throttled(share, seed)).readings
        calls = len(laboratory.endpoint.served)
        assert laboratory.endpoint.requests - before <= ATTEMPTS * calls
        for kind in ALL:
            said = readings[kind]
            if said.verdict is None:
                assert said.error_code is ErrorCode.THROTTLED
            else:
                assert said.verdict == twin[kind].verdict
            if share == 1.0:
                assert said.verdict is None


@pytest.mark.fault(19)
def test_a_session_stops_trying_again_when_its_budget_of_retries_is_spent(laboratory):
    """The budget is the session's: throttled for long, each call is sent once and no more."""
    session = open_session()
    laboratory.endpoint.answer = Throttled(1.0, 0).answer
    for _ in range(40):
        collect_account(session, ALL, sleep=lambda _: None)
    before = laboratory.endpoint.requests
    laboratory.endpoint.served = {}
    collect_account(session, ALL, sleep=lambda _: None)
    assert laboratory.endpoint.requests - before == len(laboratory.endpoint.served)


LISTS = {
    # action, region, the chain that rests on it, where the list's items are, how it goes on
    "iam.ListUsers": (None, "users", "Users", {"IsTruncated": True, "Marker": "2"}),
    "guardduty.ListDetectors": ("us-east-1", "detector", "DetectorIds", {"NextToken": "2"}),
    "guardduty.ListFindings": ("eu-west-1", "finding", "FindingIds", {"NextToken": "2"}),
}


def paged(action):
    """An account whose list has several pages, and the key of that list."""
    account = Account({**GOOD, "users": "one_without", "finding": "sample"})
    if action == "iam.ListUsers":
        key = ("iam.GenerateCredentialReport", None, None)
        account.spoil(key, 0, error_answer(key[0], "AccessDenied", status=403))
    region = LISTS[action][0]
    return account, (action, region, None)


@pytest.mark.fault(20)
@pytest.mark.parametrize("page", [0, 1])
@pytest.mark.parametrize("action", LISTS)
def test_a_token_that_expires_between_pages_leaves_no_short_list(laboratory, action, page):
    account, key = paged(action)
    if page >= len(account.documents[key]):
        account.documents[key] = [{**account.documents[key][0], **LISTS[action][3]}] * 2
    account.spoil(key, page, error_answer(action, "ExpiredToken", status=403))
    said = laboratory.collect(account).readings[TYPE_OF[LISTS[action][1]]]
    assert any(place[0] == action for place in laboratory.endpoint.served)
    assert said.verdict is None
    assert said.error_code in {ErrorCode.TRANSIENT, ErrorCode.DENIED}


@pytest.mark.fault(20)
@pytest.mark.parametrize("way", ["loops", "repeats"])
@pytest.mark.parametrize("action", LISTS)
def test_a_list_that_loops_or_repeats_is_no_list(laboratory, action, way):
    account, key = paged(action)
    _, chain, items, goes_on = LISTS[action]
    first = account.documents[key][0]
    if way == "loops":
        pages = [{**first, items: [], **goes_on}] * 3
    else:
        last = {name: value for name, value in first.items() if name not in goes_on}
        last |= {"IsTruncated": False} if "IsTruncated" in goes_on else {}
        pages = [{**first, **goes_on}, last]
    account.documents[key] = pages
    said = laboratory.collect(account).readings[TYPE_OF[chain]]
    assert said.verdict is None
    assert said.error_code is ErrorCode.MALFORMED


def hang(_connection, stop):
    stop.wait(20)


def reset(connection, _stop):
    connection.setsockopt(1, 13, b"\x01\x00\x00\x00\x00\x00\x00\x00")  # SOL_SOCKET, SO_LINGER


BROKEN = {
    "hang": hang,
    "one byte at a time": trickle,
    "reset": reset,
    "truncated": OK + b'Content-Length: 500\r\n\r\n{"detectorIds": []}',
    "truncated in silence": whole(b'{"detectorIds": ['),
    "an error page": whole(b"<html>Bad gateway</html>", b"HTTP/1.1 502 Bad\r\n"),
    "nothing": whole(b""),
}


@pytest.mark.fault(23)
def test_a_body_that_ends_early_and_can_still_be_read_is_unread(monkeypatch):
    """Each answer promises one byte more than comes, and reads well to who asks for regions."""
    retry_at_once(monkeypatch)
    body = Account(GOOD).documents["ec2.DescribeRegions", None, None][0]
    body = answer_of("ec2.DescribeRegions", tree_of("ec2.DescribeRegions", body)).body
    early = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body) + 1, body)
    with server(early) as (url, _), session_at(url) as session:
        readings = collect_account(session, ALL).readings
    said = {(reading.verdict, reading.error_code) for reading in readings.values()}
    assert said == {(None, ErrorCode.TRANSIENT)}


@contextmanager
def without_pauses(monkeypatch):
    retry_at_once(monkeypatch)
    monkeypatch.setattr("thirdsentry_pipeline.aws.transport.READ_SECONDS", 0.3)
    yield


@pytest.mark.fault(23)
@pytest.mark.parametrize("way", BROKEN)
def test_a_broken_line_ends_by_the_deadline_with_everything_unread(way, monkeypatch):
    with (
        without_pauses(monkeypatch),
        server(BROKEN[way]) as (url, _),
        session_at(url, call_seconds=0.3) as session,
    ):
        done = threading.Event()
        found = []

        def collect():
            found.append(collect_account(session, ALL, deadline_seconds=1.5))
            done.set()

        threading.Thread(target=collect, daemon=True).start()
        assert done.wait(60), "the deadline passed without an end"
    readings = found[0].readings
    assert {reading.verdict for reading in readings.values()} == {None}
    codes = {reading.error_code for reading in readings.values()}
    assert codes <= {ErrorCode.TRANSIENT, ErrorCode.MALFORMED}


@pytest.mark.fault(20)
def test_pages_are_followed_when_nothing_fails(laboratory):
    """The other side of the tests above: their lists are read to the end."""
    for action, (_, chain, *_) in LISTS.items():
        account, _ = paged(action)
        said = laboratory.collect(account).readings[TYPE_OF[chain]]
        assert said.verdict == EXPECTED[chain][account.state[chain]]


def test_the_trees_of_these_accounts_are_what_aws_would_send():
    """An answer that our own parser of the tree can't write would prove nothing above."""
    for (action, _, _), pages in Account(GOOD).documents.items():
        for page in pages:
            if not isinstance(page, str):
                assert answer_of(action, tree_of(action, page)).body
