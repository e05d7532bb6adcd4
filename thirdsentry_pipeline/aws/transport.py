"""How bytes travel: every attempt counted, every body capped, every call bounded in time.

botocore reads a body of any length for as long as one byte arrives per timeout, and takes a
body that ends early for a whole one. Both would let one hostile or broken endpoint hold a
worker's memory or a tenant's run, so requests are sent from its ``before-send`` hook instead.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from functools import partial
from http import HTTPStatus
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit
from urllib.request import getproxies

import urllib3.exceptions
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ConnectionClosedError, ReadTimeoutError
from botocore.httpsession import URLLib3Session, get_cert_path
from botocore.utils import get_environ_proxies

from thirdsentry_pipeline.aws.answer_reader import Answer, Limits
from thirdsentry_pipeline.aws.connections import Connections, trusting
from thirdsentry_pipeline.aws.errors import (
    THROTTLE_CODES,
    AnswerTooLargeError,
    DeadlinePassedError,
)
from thirdsentry_pipeline.aws.wire import check_answer

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

    from thirdsentry_pipeline.aws.signing import Request

CONNECT_SECONDS = 5
READ_SECONDS = 20
_CALL_SECONDS = 60.0
_CHUNK_BYTES = 64 * 1024
_LARGEST_BODY_BYTES = 32 * 1024 * 1024


class CallCounter:
    """Requests sent, retries included, and how many AWS answered with a throttle."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.by_action: Counter[str] = Counter()
        self.throttles = 0

    @property
    def api_calls(self) -> int:
        """All requests sent."""
        with self._lock:
            return self.by_action.total()

    def count_call(self, action: str) -> None:
        """Count one request of an action such as ``iam.ListUsers``."""
        with self._lock:
            self.by_action[action] += 1

    def count_throttle(self) -> None:
        """Count one throttled answer."""
        with self._lock:
            self.throttles += 1


class _Body(BytesIO):
    """A body already read, in the form botocore asks a response for."""

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self.read()


class _Session(URLLib3Session):  # type: ignore[misc]  # botocore ships no types
    """botocore's own connections of one transport, which trust whom ours trust."""

    def _get_ssl_context(self) -> ssl.SSLContext:
        return trusting(get_cert_path(self._verify))

    def _setup_ssl_cert(self, conn: Any, *_: Any) -> None:
        conn.cert_reqs = "CERT_REQUIRED"
        conn.ca_certs = None


class Transport:
    """Sends the requests of the clients attached to it; one per account session."""

    def __init__(
        self,
        *,
        endpoint_url: str | None = None,
        ca_bundle: str | None = None,
        connections: int = 16,
        largest_body_bytes: int = _LARGEST_BODY_BYTES,
        call_seconds: float = _CALL_SECONDS,
    ) -> None:
        self.calls = CallCounter()
        self._endpoint_url = endpoint_url
        self._ca_bundle = ca_bundle
        self._connections_at_most = connections
        self._largest_body_bytes = largest_body_bytes
        self._call_seconds = call_seconds
        self._stop_at = float("inf")
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._connections = Connections(ca_bundle or True)
        self._sessions: dict[frozenset[tuple[str, str]], Any] = {}
        self._proxies: dict[str, dict[str, str]] = {}

    def attach(self, client: Any) -> None:
        """Make a botocore client send through this transport."""
        client.meta.events.register("before-send", self._send)
        client.meta.events.register("needs-retry", self._note_throttle)
        client.meta.events.register("before-parse", check_answer)

    def stop_after(self, seconds: float) -> None:
        """Refuse to send or to go on reading from so many seconds on; an earlier end stays."""
        with self._lock:
            self._stop_at = min(self._stop_at, time.monotonic() + seconds)

    def pause(self, seconds: float) -> None:
        """Wait between two attempts, for as long as there is to be another one."""
        self._stopped.wait(seconds)

    def close(self) -> None:
        """Send nothing more, drop the connections and wake up who waits for an answer."""
        with self._lock:
            self._stop_at = float("-inf")
            self._stopped.set()
            sessions = list(self._sessions.values())
            self._sessions.clear()
        self._connections.close()
        for session in sessions:
            session.close()

    def send(self, request: Request, action: str) -> Answer:
        """Send a signed request of an action such as ``iam.ListUsers``; the answer, read whole.

        Raises:
            DeadlinePassedError: the time for the call or the session is over.
            AnswerTooLargeError: the answer is over the cap.
            botocore.exceptions.HTTPClientError: there was no whole answer.
        """
        give_up_at = self._begin(request, action)
        if self._proxies_for(request.url):
            answer = self._send_by_botocore(request, give_up_at)
            return Answer(answer.status_code, answer.headers, answer.content)
        check_time = partial(self._check_time, give_up_at)
        limits = Limits(CONNECT_SECONDS, READ_SECONDS, self._largest_body_bytes, check_time)
        return self._connections.exchange(request, limits)

    def _send(self, request: Any, event_name: str, **_: Any) -> AWSResponse:
        """A handler of botocore's ``before-send`` event."""
        give_up_at = self._begin(request, event_name.partition(".")[2])
        return self._send_by_botocore(request, give_up_at)

    def _begin(self, request: Any, action: str) -> float:
        """Count an attempt and give it its place and its end, unless it is too late for it."""
        give_up_at = time.monotonic() + self._call_seconds
        self._check_time(give_up_at)
        if self._endpoint_url is not None and action.startswith("s3-control."):
            request.url = self._without_account_host(request.url)
        self.calls.count_call(action)
        return give_up_at

    def _send_by_botocore(self, request: Any, give_up_at: float) -> AWSResponse:
        """Send as botocore does: what its own clients made, and whatever goes by a proxy."""
        request.stream_output = True
        answer = self._session_for(request.url).send(request)
        try:
            body = self._read_body(answer, give_up_at)
        except urllib3.exceptions.ReadTimeoutError as error:
            answer.raw.close()
            raise ReadTimeoutError(endpoint_url=request.url, error=error) from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            answer.raw.close()
            raise ConnectionClosedError(endpoint_url=request.url, error=error) from error
        except (AnswerTooLargeError, DeadlinePassedError):
            answer.raw.close()
            raise
        return AWSResponse(answer.url, answer.status_code, answer.headers, _Body(body))

    def _read_body(self, answer: Any, give_up_at: float) -> bytes:
        parts: list[bytes] = []
        size = 0
        while chunk := answer.raw.read1(_CHUNK_BYTES, decode_content=False):
            size += len(chunk)
            if size > self._largest_body_bytes:
                message = f"the answer is longer than {self._largest_body_bytes} bytes"
                raise AnswerTooLargeError(message)
            self._check_time(give_up_at)
            parts.append(chunk)
        promised = answer.headers.get("Content-Length", "")
        if promised.isdigit() and size < int(promised):
            message = "the answer ended early"
            raise urllib3.exceptions.ProtocolError(message)
        return b"".join(parts)

    def _check_time(self, give_up_at: float) -> None:
        if time.monotonic() >= min(give_up_at, self._stop_at):
            message = "the time for this call is over"
            raise DeadlinePassedError(message)

    def _proxies_for(self, url: str) -> dict[str, str]:
        scheme, host, *_ = urlsplit(url)
        place = f"{scheme}://{host}"
        proxies = self._proxies.get(place)
        if proxies is None:
            # Reading the environment costs more than signing: once for a host is enough.
            proxies = get_environ_proxies(url) if getproxies() else {}
            self._proxies[place] = proxies
        return proxies

    def _session_for(self, url: str) -> Any:
        proxies = self._proxies_for(url)
        key = frozenset(proxies.items())
        with self._lock:
            if key not in self._sessions:
                self._sessions[key] = _Session(
                    verify=self._ca_bundle or True,
                    proxies=proxies,
                    timeout=(CONNECT_SECONDS, READ_SECONDS),
                    max_pool_connections=self._connections_at_most,
                )
            return self._sessions[key]

    def _without_account_host(self, url: str) -> str:
        """S3 Control puts the account id before the host name; a sandbox has no such host."""
        netloc = urlsplit(self._endpoint_url or "").netloc
        return urlunsplit(urlsplit(url)._replace(netloc=netloc))

    def _note_throttle(self, response: Any = None, **_: Any) -> None:
        if response is not None:
            self.note_throttle(*response)

    def note_throttle(self, http: Any, parsed: Any) -> None:
        """Count an answer if it is a throttle."""
        error = parsed.get("Error") if isinstance(parsed, dict) else None
        code = error.get("Code") if isinstance(error, dict) else None
        throttled = isinstance(code, str) and code.removesuffix("Exception") in THROTTLE_CODES
        if throttled or http.status_code == HTTPStatus.TOO_MANY_REQUESTS:
            self.calls.count_throttle()
