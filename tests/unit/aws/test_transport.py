"""Clients against servers that misbehave, over real sockets on loopback."""

import re
import socket
import threading
from contextlib import contextmanager
from functools import partial

import pytest

from tests.unit.aws.canned import ROLE
from tests.waiting import retry_at_once
from thirdsentry_pipeline.aws import guardduty, transport
from thirdsentry_pipeline.aws.account_session import AccountSession
from thirdsentry_pipeline.aws.connections import Connections
from thirdsentry_pipeline.aws.reading import attempt
from thirdsentry_pipeline.aws.retries import Retries
from thirdsentry_pipeline.aws.sessions import PlatformAws, SessionCredentials
from thirdsentry_pipeline.aws.transport import Transport
from thirdsentry_pipeline.domain.evidence import ErrorCode
from thirdsentry_pipeline.domain.facts import Unread

SECONDS = 10
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def whole(body, status=b"HTTP/1.1 200 OK\r\n"):
    return status + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def request_on(connection):
    """The whole request: closing a socket with bytes unread resets it, and the client retries."""
    request = b""
    while piece := connection.recv(65536):
        request += piece
        head, end, body = request.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: *(\d+)", head)
        if end and len(body) >= int(length[1] if length else 0):
            break
    return request


@contextmanager
def server(*scripts):
    """Serves each connection by the next script (bytes to send, or a function); the last repeats."""
    listener = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()
    seen = []

    def serve():
        while not stop.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                seen.append(request_on(connection))
                script = scripts[min(len(seen), len(scripts)) - 1]
                if callable(script):
                    script(connection, stop)
                else:
                    connection.sendall(script)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", seen
    finally:
        stop.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


@contextmanager
def session_at(url, **limits):
    platform = PlatformAws(endpoint_url=url, region="us-east-1")
    credentials = SessionCredentials("AKIDEXAMPLE", "example", "token")
    with AccountSession(
        platform, ROLE, credentials, Transport(endpoint_url=url, **limits)
    ) as session:
        yield session


PAUSE = Transport.pause


@pytest.fixture(autouse=True)
def _no_backoff(monkeypatch):
    retry_at_once(monkeypatch)


def read(session):
    return attempt("guardduty:Read", partial(guardduty.read_detector_id, session, "us-east-1"))


TRANSIENT = Unread(ErrorCode.TRANSIENT, "guardduty:Read")
MALFORMED = Unread(ErrorCode.MALFORMED, "guardduty:Read")
GOOD = b'{"detectorIds": ["d1"]}'


def chunked(connection, _stop):
    connection.sendall(OK + b"Transfer-Encoding: chunked\r\n\r\n")
    for part in (GOOD[:5], GOOD[5:]):
        connection.sendall(b"%x\r\n%s\r\n" % (len(part), part))
    connection.sendall(b"0\r\n\r\n")


@pytest.mark.parametrize("script", [whole(GOOD), OK + b"\r\n" + GOOD, chunked])
def test_answers_are_read_whole_however_they_are_framed(script):
    with server(script) as (url, _), session_at(url) as session:
        assert read(session) == "d1"
        assert session.calls.by_action == {"guardduty.ListDetectors": 1}


def test_a_body_that_ends_early_is_never_taken_for_a_whole_one():
    early = OK + b'Content-Length: 500\r\n\r\n{"detectorIds": []}'
    with server(early) as (url, seen), session_at(url) as session:
        assert read(session) == TRANSIENT
        assert len(seen) == session.calls.api_calls == 4


def test_what_fails_once_is_tried_again_and_counted():
    error = whole(b"{}", b"HTTP/1.1 500 Oh\r\n")
    with server(b"", error, whole(GOOD)) as (url, _), session_at(url) as session:
        assert read(session) == "d1"
        assert session.calls.api_calls == 3
        assert session.calls.throttles == 0


@pytest.mark.parametrize(
    "throttle",
    [
        whole(b'{"__type": "ThrottlingException"}', b"HTTP/1.1 400 Slow\r\n"),
        whole(b"", b"HTTP/1.1 429 Slow\r\n"),
    ],
)
def test_throttles_are_counted(throttle):
    with server(throttle, throttle, whole(GOOD)) as (url, _), session_at(url) as session:
        assert read(session) == "d1"
        assert (session.calls.api_calls, session.calls.throttles) == (3, 2)


def test_throttling_without_end_stops_within_the_budget():
    throttle = whole(b'{"__type": "ThrottlingException"}', b"HTTP/1.1 400 Slow\r\n")
    with server(throttle) as (url, _), session_at(url) as session:
        assert read(session) == Unread(ErrorCode.THROTTLED, "guardduty:ListDetectors")
        assert (session.calls.api_calls, session.calls.throttles) == (4, 4)


def test_a_body_over_the_cap_is_unread_and_asked_for_once():
    def endless(connection, stop):
        connection.sendall(OK + b"\r\n")
        while not stop.is_set():
            try:
                connection.sendall(b"x" * 65536)
            except OSError:
                return

    with server(endless) as (url, seen), session_at(url, largest_body_bytes=500_000) as session:
        assert read(session) == MALFORMED
        assert len(seen) == 1


def trickle(connection, stop):
    connection.sendall(OK + b"\r\n")
    while not stop.wait(0.02):
        try:
            connection.sendall(b" ")
        except OSError:
            return


def test_a_body_byte_by_byte_is_given_up():
    with server(trickle) as (url, seen), session_at(url, call_seconds=0.3) as session:
        assert read(session) == TRANSIENT
        assert len(seen) == 1


def test_the_accounts_deadline_ends_a_call_under_way_and_every_later_one():
    sessions = []

    def late(connection, stop):
        sessions[0].stop_after(0)
        trickle(connection, stop)

    with server(late) as (url, seen), session_at(url) as session:
        sessions.append(session)
        assert read(session) == TRANSIENT
        assert read(session) == TRANSIENT
        assert len(seen) == 1


def test_a_deadline_is_never_put_off():
    with server(whole(GOOD)) as (url, seen), session_at(url) as session:
        session.stop_after(0)
        session.stop_after(100)
        assert read(session) == TRANSIENT
        assert seen == []


def test_a_server_that_says_nothing_is_given_up(monkeypatch):
    monkeypatch.setattr(transport, "READ_SECONDS", 0.1)

    def hang(_connection, stop):
        stop.wait(1)

    with server(hang) as (url, _), session_at(url) as session:
        assert read(session) == TRANSIENT


@contextmanager
def in_another_thread(call):
    """Runs a call; at the end it has come to its own, and the list holds what it gave."""
    given = []
    thread = threading.Thread(target=lambda: given.append(call()), daemon=True)
    thread.start()
    yield given
    thread.join(SECONDS)
    assert not thread.is_alive()


@pytest.mark.parametrize("begun", [b"", OK + b"\r\n", OK + b"Content-Length: 9\r\n\r\n{}"])
def test_closing_a_session_ends_a_call_that_waits_for_its_answer(begun):
    asked = threading.Event()

    def say_no_more(connection, stop):
        connection.sendall(begun)
        asked.set()
        stop.wait()

    with (
        server(say_no_more) as (url, seen),
        session_at(url) as session,
        in_another_thread(lambda: read(session)) as given,
    ):
        assert asked.wait(SECONDS)
        session.close()
    assert given == [TRANSIENT]
    assert len(seen) == 1


def test_closing_a_session_ends_the_wait_for_another_attempt(monkeypatch):
    waiting = threading.Event()
    pauses = iter([1000.0, None])

    def pause(*_):
        waiting.set()
        return next(pauses)

    monkeypatch.setattr(Retries, "pause", pause)
    monkeypatch.setattr(Transport, "pause", PAUSE)
    with (
        server(whole(b"", b"HTTP/1.1 503 Slow Down\r\n")) as (url, seen),
        session_at(url) as session,
        in_another_thread(lambda: read(session)) as given,
    ):
        assert waiting.wait(SECONDS)
        session.close()
    assert given == [TRANSIENT]
    assert len(seen) == 1


def test_a_refused_connection_is_transient():
    with session_at("http://127.0.0.1:1") as session:
        assert read(session) == TRANSIENT


def test_the_account_before_the_host_is_dropped_only_for_a_custom_endpoint(monkeypatch):
    block = b"<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls></PublicAccessBlockConfiguration>"
    with server(whole(block)) as (url, seen), session_at(url) as session:
        client = session.client("s3control", "us-east-1")
        client.get_public_access_block(AccountId=session.account_id)
        assert b"\r\nHost: 127.0.0.1:" in seen[0]
    sent = []

    def refuse(_connections, request, _limits):
        sent.append(request.url)
        raise ConnectionRefusedError

    monkeypatch.setattr(Connections, "exchange", refuse)
    credentials = SessionCredentials("AKIDEXAMPLE", "example", "token")
    platform = PlatformAws(region="us-east-1")
    client = platform.client("s3control", "us-east-1", credentials)
    with pytest.raises(ConnectionRefusedError):
        client.get_public_access_block(AccountId=ROLE.account_id)
    assert sent[0].startswith(f"https://{ROLE.account_id}.s3-control.us-east-1.amazonaws.com/")


def test_a_closed_session_sends_nothing_and_holds_nothing():
    with server(whole(GOOD)) as (url, seen), session_at(url) as session:
        client = session.client("guardduty", "us-east-1")
        session.close()
        assert read(session) == TRANSIENT
        outcome = attempt("guardduty:Read", client.list_detectors)
        assert outcome == TRANSIENT
        assert seen == []
        assert session._credentials is None
        assert session._clients == {}
