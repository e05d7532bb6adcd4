"""Connections to AWS that stay open between the calls of one account session.

urllib3 opens them and checks whom they lead to.
"""

from __future__ import annotations

import functools
import re
import socket
import ssl
import threading
import time
import weakref
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, NamedTuple, TypeAlias
from urllib.parse import urlsplit

import httptools
import urllib3.exceptions
from botocore.auth import _host_from_url
from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
    SSLError,
)
from botocore.httpsession import create_urllib3_context, get_cert_path
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util.ssl_match_hostname import CertificateError

from thirdsentry_pipeline.aws.answer_reader import read_answer

if TYPE_CHECKING:
    from thirdsentry_pipeline.aws.answer_reader import Answer, Limits
    from thirdsentry_pipeline.aws.signing import Request

# An endpoint that closes a connection so soon says so in its answer; asking the system about
# every one would let other threads take over as often as the calls themselves do.
_FRESH_SECONDS = 1.0
_ENDS_A_LINE = re.compile("[\x00\r\n]")


class Connections:
    """Opens a connection when none is idle; safe in several threads at once."""

    def __init__(self, ca_bundle: str | bool) -> None:
        """``ca_bundle`` is a file of certificate authorities; ``True`` stands for botocore's."""
        self._ca_bundle = ca_bundle
        self._lock = threading.Lock()
        self._idle: _Idle = {}
        self._busy: set[HTTPConnection] = set()
        self._is_closed = False
        # For who forgets to close: nothing stays open that nobody can use.
        weakref.finalize(self, _close, self._idle)

    def exchange(self, request: Request, limits: Limits) -> Answer:
        """Send a request and read the answer to its end.

        Raises:
            AnswerTooLargeError: it is longer than it may be.
            botocore.exceptions.HTTPClientError: there was no whole answer.
        """
        origin = _origin_of(*urlsplit(request.url)[:2])
        connection = self._idle_one(origin) or self._open(origin, limits)
        may_stay = False
        try:
            self._begin(connection)
            connection.sock.sendall(_written(request, origin))
            answer, may_stay = read_answer(connection.sock, limits)
        except TimeoutError as error:
            raise ReadTimeoutError(endpoint_url=request.url, error=error) from error
        except (OSError, httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            raise ConnectionClosedError(endpoint_url=request.url, error=error) from error
        finally:
            self._end(origin, connection, may_stay=may_stay)
        return answer

    def close(self) -> None:
        """Close all of them for good; who waits for an answer is told at once."""
        with self._lock:
            self._is_closed = True
            _close(self._idle)
            for connection in self._busy:
                # Not TLS's own way, which opens a moment to send what follows unencrypted. The
                # thread that waits closes it.
                with suppress(OSError):
                    socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)

    def _idle_one(self, origin: _Origin) -> HTTPConnection | None:
        while True:
            with self._lock:
                idle = self._idle.get(origin)
                if not idle:
                    return None
                connection, since = idle.pop()
            if time.monotonic() - since < _FRESH_SECONDS or connection.is_connected:
                return connection
            connection.close()

    def _begin(self, connection: HTTPConnection) -> None:
        with self._lock:
            if self._is_closed:
                message = "the connections are closed"
                raise ConnectionAbortedError(message)
            self._busy.add(connection)

    def _end(self, origin: _Origin, connection: HTTPConnection, *, may_stay: bool) -> None:
        with self._lock:
            self._busy.discard(connection)
            if may_stay and not self._is_closed:
                self._idle.setdefault(origin, []).append((connection, time.monotonic()))
                return
        connection.close()

    def _open(self, origin: _Origin, limits: Limits) -> HTTPConnection:
        if origin.is_secure:
            connection: HTTPConnection = HTTPSConnection(
                origin.host,
                origin.port,
                timeout=limits.connect_seconds,
                ssl_context=trusting(get_cert_path(self._ca_bundle)),
                cert_reqs="CERT_REQUIRED",
            )
        else:
            connection = HTTPConnection(origin.host, origin.port, timeout=limits.connect_seconds)
        where = f"{'https' if origin.is_secure else 'http'}://{origin.name}/"
        with ExitStack() as undo:
            undo.callback(connection.close)
            try:
                connection.connect()
            except (ssl.SSLError, urllib3.exceptions.SSLError, CertificateError) as error:
                raise SSLError(endpoint_url=where, error=error) from error
            except (urllib3.exceptions.HTTPError, OSError) as error:
                # A refused connection is a kind of late one to urllib3.
                late = isinstance(error, (urllib3.exceptions.ConnectTimeoutError, TimeoutError))
                refused = isinstance(error, urllib3.exceptions.NewConnectionError)
                kind = ConnectTimeoutError if late and not refused else EndpointConnectionError
                raise kind(endpoint_url=where, error=error) from error
            undo.pop_all()
        connection.sock.settimeout(limits.read_seconds)
        return connection


def _close(idle: _Idle) -> None:
    while idle:
        for connection, _ in idle.popitem()[1]:
            connection.close()


@functools.cache
def trusting(ca_bundle: str) -> ssl.SSLContext:
    """A context that accepts certificates of these authorities alone; it holds nothing else.

    botocore reads the list of authorities for every connection, which takes longer than the
    handshake itself; here it is read once per process.
    """
    context: ssl.SSLContext = create_urllib3_context()
    context.load_verify_locations(ca_bundle)
    return context


class _Origin(NamedTuple):
    """Where a request goes; ``name`` is how its ``Host`` header says it."""

    is_secure: bool
    host: str
    port: int
    name: str


_Idle: TypeAlias = dict[_Origin, list[tuple[HTTPConnection, float]]]
"""Connections that wait for a request, and since when."""


@functools.lru_cache(maxsize=1024)
def _origin_of(scheme: str, place: str) -> _Origin:
    url = f"{scheme}://{place}/"
    parts = urlsplit(url)
    is_secure = scheme != "http"
    port = parts.port or (443 if is_secure else 80)
    return _Origin(is_secure, parts.hostname or "", port, _host_from_url(url))


def _written(request: Request, origin: _Origin) -> bytes:
    """The bytes of a request.

    Raises:
        ValueError: something in its head would end a line there.
    """
    _, _, path, query, _ = urlsplit(request.url)
    target = f"{path or '/'}?{query}" if query else path or "/"
    lines = [
        f"{request.method} {target} HTTP/1.1",
        f"Host: {origin.name}",
        "Accept-Encoding: identity",
        *[f"{name}: {value}" for name, value in request.headers.items()],
    ]
    if any(map(_ENDS_A_LINE.search, lines)):
        message = "a header of the request holds the end of a line"
        raise ValueError(message)
    return "\r\n".join([*lines, "", ""]).encode() + (request.body or b"")
