"""One answer read from a socket, from its first byte to its last.

By llhttp, the parser of Node.js: Python's own takes the head for e-mail, which costs more than
all else on the way.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import httptools
from urllib3 import HTTPHeaderDict

from thirdsentry_pipeline.aws.errors import AnswerTooLargeError

if TYPE_CHECKING:
    from collections.abc import Callable

_CHUNK_BYTES = 64 * 1024
_LARGEST_HEAD_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """What a call may take: seconds to connect and between two pieces, and bytes.

    ``check_time`` raises when the call has taken too long as a whole.
    """

    connect_seconds: float
    read_seconds: float
    largest_body_bytes: int
    check_time: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, read whole."""

    status_code: int
    headers: HTTPHeaderDict
    content: bytes


class _Reader:
    """Takes in one answer, as the parser calls it."""

    def __init__(self) -> None:
        self.headers = HTTPHeaderDict()
        self.body: list[bytes] = []
        self.body_bytes = 0
        self.status = 0
        self.is_whole = False
        self.may_stay = False
        self._parser = httptools.HttpResponseParser(self)
        self.feed = self._parser.feed_data

    @property
    def has_head(self) -> bool:
        """Whether the head of the answer is whole."""
        return self.status >= HTTPStatus.OK

    def on_message_begin(self) -> None:
        """Refuse to go on with a connection on which more comes than was asked for."""
        if self.is_whole:
            self.may_stay = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        if not self.is_whole:
            self.headers.add(name.decode("latin-1"), value.decode("latin-1"))

    def on_headers_complete(self) -> None:
        """Forget a head that only announces the answer, such as ``100 Continue``."""
        if not self.is_whole:
            self.status = self._parser.get_status_code()
            if not self.has_head:
                self.headers = HTTPHeaderDict()

    def on_body(self, piece: bytes) -> None:
        """Take a piece of the body."""
        if not self.is_whole:
            self.body.append(piece)
            self.body_bytes += len(piece)

    def on_message_complete(self) -> None:
        """Note that the answer is whole, and whether another request may follow."""
        if not self.is_whole:
            self.is_whole = self.has_head
            self.may_stay = self.is_whole and self._parser.should_keep_alive()

    def end(self) -> None:
        """Note that nothing more comes.

        Raises:
            ConnectionError: something was to come.
        """
        framed = "Content-Length" in self.headers or "Transfer-Encoding" in self.headers
        if not self.has_head or framed:
            message = "the answer ended early"
            raise ConnectionError(message)
        self.is_whole = True


def read_answer(socket: Any, limits: Limits) -> tuple[Answer, bool]:
    """An answer from its first byte to its last, and whether the connection may stay open.

    Raises:
        AnswerTooLargeError: it is longer than it may be.
        OSError, httptools.HttpParserError: it ends early, or is none.
    """
    reader = _Reader()
    received = 0
    while not reader.is_whole:
        data = socket.recv(_CHUNK_BYTES)
        if not data:
            # Closed from this side, an answer is not over, whatever it looks like.
            limits.check_time()
            reader.end()
            return Answer(reader.status, reader.headers, b"".join(reader.body)), False
        reader.feed(data)
        received += len(data)
        head_is_over = not reader.has_head and received > _LARGEST_HEAD_BYTES
        if head_is_over or reader.body_bytes > limits.largest_body_bytes:
            message = f"the answer is longer than {limits.largest_body_bytes} bytes"
            raise AnswerTooLargeError(message)
        limits.check_time()
    return Answer(reader.status, reader.headers, b"".join(reader.body)), reader.may_stay
