"""The connections of account sessions, over real sockets on loopback."""

import gc
import threading

import pytest
from botocore.exceptions import ConnectionClosedError, EndpointConnectionError

from tests.unit.aws.test_transport import request_on, server
from thirdsentry_pipeline.aws.answer_reader import Limits
from thirdsentry_pipeline.aws.connections import Connections
from thirdsentry_pipeline.aws.errors import AnswerTooLargeError
from thirdsentry_pipeline.aws.transport import Transport

SECONDS = 10
LIMITS = Limits(2, 2, 1000, lambda: None)
NEVER_LATE = Limits(2, 1000, 1000, lambda: None)


class Asked:
    """A signed request, as far as connections look at one."""

    def __init__(self, url, method="GET", body=None, **headers):
        self.method, self.url, self.body, self.headers = method, url, body, headers


@pytest.fixture
def connections():
    connections = Connections(ca_bundle=True)
    yield connections
    connections.close()


def answering(*answers):
    """Answers the requests of one connection one after the other, then closes it."""

    def script(connection, _stop):
        for number, answer in enumerate(answers):
            if number:
                request_on(connection)
            connection.sendall(answer)

    return script


def ok(body=b"well", more=b""):
    return b"HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s" % (more, len(body), body)


def test_a_connection_is_used_again_and_a_dropped_one_is_noticed(connections, monkeypatch):
    monkeypatch.setattr("thirdsentry_pipeline.aws.connections._FRESH_SECONDS", 0)
    with server(answering(ok(b"1"), ok(b"2")), answering(ok(b"3"))) as (url, seen):
        said = []
        for _ in range(3):
            said.append(connections.exchange(Asked(url), LIMITS).content)
            if len(said) == 2:
                ((idle, _),) = (one for ones in connections._idle.values() for one in ones)
                idle.sock.recv(1)  # the server's end has come
        assert said == [b"1", b"2", b"3"]
        assert len(seen) == 2


def test_one_dropped_at_once_is_a_closed_connection_and_a_new_one_is_opened_next(connections):
    with server(answering(ok(b"1")), answering(ok(b"2"))) as (url, _):
        assert connections.exchange(Asked(url), LIMITS).content == b"1"
        with pytest.raises(ConnectionClosedError):
            connections.exchange(Asked(url), LIMITS)
        assert connections.exchange(Asked(url), LIMITS).content == b"2"


@pytest.mark.parametrize(
    "answer",
    [
        ok(more=b"Connection: close\r\n"),
        b"HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nwell",
        # Smuggled: nobody asked for what follows.
        ok() + ok(b"an answer to the next request"),
        b"HTTP/1.1 200 OK\r\n\r\nwell",
    ],
    ids=["told to close", "an old server", "one more answer", "until the end"],
)
def test_a_connection_that_is_not_good_for_more_is_not_used_again(connections, answer):
    with server(answering(answer), answering(ok(b"new"))) as (url, seen):
        first = connections.exchange(Asked(url), LIMITS)
        assert (first.status_code, first.content) == (200, b"well")
        assert connections.exchange(Asked(url), LIMITS).content == b"new"
        assert len(seen) == 2


def test_what_only_announces_an_answer_is_none(connections):
    early = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    with server(answering(b"HTTP/1.1 100 Continue\r\n\r\n" + early + ok())) as (url, _):
        answer = connections.exchange(Asked(url), LIMITS)
        assert (answer.status_code, answer.content) == (200, b"well")
        assert list(answer.headers) == ["Content-Length"]


def test_a_request_arrives_as_it_was_signed(connections):
    with server(answering(ok(more=b"X-Two: a\r\nx-two: b\r\n"))) as (url, seen):
        asked = Asked(
            f"{url}/a%20b?c=d", "POST", b"A=B", **{"X-Amz-Date": "now", "Content-Length": "3"}
        )
        answer = connections.exchange(asked, LIMITS)
        host = url.removeprefix("http://").encode()
        assert seen == [
            b"POST /a%20b?c=d HTTP/1.1\r\nHost: " + host + b"\r\nAccept-Encoding: identity\r\n"
            b"X-Amz-Date: now\r\nContent-Length: 3\r\n\r\nA=B"
        ]
        assert answer.headers["x-TWO"] == "a, b"


@pytest.mark.parametrize("character", ["\r\n", "\n", "\r", "\x00"])
def test_a_header_or_target_can_smuggle_no_line(connections, character):
    with server(answering(ok())) as (url, seen):
        for asked in (
            Asked(url, **{"x-amz-account-id": f"1{character}Host: other"}),
            Asked(url, method=f"GET{character}"),
        ):
            with pytest.raises(ValueError, match="end of a line"):
                connections.exchange(asked, LIMITS)
    assert not any(seen)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nwell\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 9\r\n\r\nwell",
        b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    ],
    ids=["nothing", "half a head", "half a body", "no http", "two lengths", "another protocol"],
)
def test_what_is_no_whole_answer_is_a_closed_connection(connections, answer):
    with (
        server(answering(answer)) as (url, _),
        pytest.raises(ConnectionClosedError),
    ):
        connections.exchange(Asked(url), LIMITS)


def test_bodies_and_heads_have_an_end(connections):
    heads = b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 300_000
    for answer in (ok(b"x" * 1001), heads):
        with (
            server(answering(answer)) as (url, _),
            pytest.raises(AnswerTooLargeError, match="longer than 1000"),
        ):
            connections.exchange(Asked(url), LIMITS)


def test_a_host_that_does_not_exist_is_no_connection(connections):
    for url in ("http://127.0.0.1:1/", "http://a..b/"):
        with pytest.raises(EndpointConnectionError):
            connections.exchange(Asked(url), LIMITS)


def test_who_waits_for_an_answer_when_all_are_closed_gets_none(connections):
    arrived = threading.Event()

    def silent(_connection, stop):
        arrived.set()
        stop.wait()

    def close_all():
        arrived.wait(SECONDS)
        connections.close()

    closing = threading.Thread(target=close_all)
    with server(silent) as (url, seen):
        closing.start()
        with pytest.raises(ConnectionClosedError):
            connections.exchange(Asked(url), NEVER_LATE)
        closing.join()
        assert len(seen) == 1
    assert not connections._idle
    assert not connections._busy


def test_an_answer_that_is_whole_when_all_are_closed_counts_and_keeps_nothing(connections):
    closing = Limits(2, 2, 1000, connections.close)
    with server(answering(ok())) as (url, _):
        assert connections.exchange(Asked(url), closing).content == b"well"
    assert not connections._idle
    assert not connections._busy


def test_closed_they_send_nothing_more(connections):
    connections.close()
    with server(answering(ok())) as (url, seen), pytest.raises(ConnectionClosedError):
        connections.exchange(Asked(url), LIMITS)
    assert not [request for request in seen if request]


def test_a_proxy_is_used_where_the_environment_names_one(monkeypatch):
    with server(answering(ok(b"by proxy"))) as (url, seen):
        monkeypatch.setenv("HTTP_PROXY", url)
        monkeypatch.setenv("NO_PROXY", "here.example")
        transport = Transport()
        request = Asked("http://iam.example/?a=b")
        assert transport.send(request, "iam.ListUsers").content == b"by proxy"
        assert seen[0].startswith(b"GET http://iam.example/?a=b HTTP/1.1\r\n")
        assert transport._proxies_for("http://here.example/") == {}
        transport.close()


def test_what_nobody_closed_is_closed_when_nobody_can_use_it():
    forgotten = Connections(ca_bundle=True)
    with server(answering(ok())) as (url, _):
        forgotten.exchange(Asked(url), LIMITS)
        ((idle, _),) = (one for ones in forgotten._idle.values() for one in ones)
        assert not idle.is_closed
        del forgotten
        gc.collect()
        assert idle.is_closed
