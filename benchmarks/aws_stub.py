"""A fast AWS stub in a process of its own: `python -m benchmarks.aws_stub --port N`.

It answers what a collection asks, in the services' wire formats, after a settable latency, and
counts. One event loop answers several thousand calls a second, about twenty times what a full
AWS mock does, so that the collector is measured and not the mock.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

import httptools
import uvloop

from benchmarks.stub_accounts import StubSettings
from benchmarks.stub_answers import action_of, answer
from benchmarks.stub_wire import Reply, Request, StubError, error_reply, parse

_ADMIN = "/_stub/"
# A collection without its session proves nothing: these are delayed, never denied at random.
_NEVER_DENIED = ("sts.", "kms.")
_HALF = 0.5


class Stub:
    """What all connections share: settings and counts."""

    def __init__(self) -> None:
        self.settings = StubSettings()
        self.calls: Counter[str] = Counter()
        self._asked: Counter[str] = Counter()
        self._span: tuple[float, float] | None = None

    def reply(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Sending:
        """The answer to a request and, before it, its place in the count."""
        if target.startswith(_ADMIN):
            return Sending(self._administer(target, body))
        service = ""
        try:
            request = parse(method, target, headers, body)
            service = request.service
            action = action_of(request)
            self.calls[action] += 1
            self._note_time()
            return self._by_chance(request, action)
        except StubError as error:
            return Sending(error_reply(service, error), self.settings.latency_ms / 1000)

    def _administer(self, target: str, body: bytes) -> Reply:
        told: Any = {}
        if target == f"{_ADMIN}settings":
            self.settings = StubSettings.parse(body, self.settings)
            self._asked.clear()
        elif target == f"{_ADMIN}calls":
            told = dict(self.calls)
        elif target == f"{_ADMIN}reset":
            self.calls.clear()
            self._span = None
        elif target == f"{_ADMIN}span":
            told = 0.0 if self._span is None else self._span[1] - self._span[0]
        return Reply(200, "application/json", json.dumps(told).encode())

    def _note_time(self) -> None:
        now = time.monotonic()
        self._span = (now if self._span is None else self._span[0], now)

    def _by_chance(self, request: Request, action: str) -> Sending:
        """The answer, or one of the faults, after the delay.

        The dice are those of this account's n-th such request: which requests meet which fault
        does not depend on who was faster.
        """
        settings = self.settings
        if settings.is_fair:
            return Sending(answer(request, action, settings), settings.latency_ms / 1000)
        place = f"{settings.seed} {request.account_id} {request.region} {action}"
        self._asked[place] += 1
        dice = random.Random(f"{place} {self._asked[place]}")
        delay = (settings.latency_ms + dice.random() * settings.jitter_ms) / 1000
        drawn = dice.random()
        for rate, fault in (
            (settings.throttle_rate, _throttle),
            (settings.failure_rate, _break_down),
            (0.0 if action.startswith(_NEVER_DENIED) else settings.denial_rate, _deny),
        ):
            if drawn < rate:
                return Sending(error_reply(request.service, fault(request)), delay)
            drawn -= rate
        sending = Sending(answer(request, action, settings), delay)
        if drawn < settings.reset_rate:
            return replace(sending, is_reset=True)
        if drawn - settings.reset_rate < settings.cut_rate:
            kept = dice.randrange(len(sending.reply.body) or 1)
            return replace(sending, kept=kept, is_admitted=dice.random() < _HALF)
        return sending


@dataclass(frozen=True)
class Sending:
    """How a reply goes out: after ``delay`` seconds, whole unless a fault says otherwise.

    Of a cut reply the first ``kept`` bytes are sent; ``is_admitted`` when the length it tells is
    that of what is sent, so that only its end shows that there should be more.
    """

    reply: Reply
    delay: float = 0.0
    is_reset: bool = False
    kept: int | None = None
    is_admitted: bool = False


def _throttle(request: Request) -> StubError:
    code = "Throttling" if request.service in {"sts", "iam"} else "ThrottlingException"
    return StubError(400, code, "Rate exceeded")


def _break_down(_: Request) -> StubError:
    return StubError(500, "InternalFailure", "An internal error")


def _deny(_: Request) -> StubError:
    return StubError(403, "AccessDenied", "is not authorized to perform this")


class Connection(asyncio.Protocol):
    """One keep-alive connection; botocore sends one request at a time on it."""

    def __init__(self, stub: Stub) -> None:
        self._stub = stub
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._target = b""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport to answer on."""
        self._transport = transport  # type: ignore[assignment] - a TCP transport

    def data_received(self, data: bytes) -> None:
        """Feed the parser, which calls the methods below."""
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        """Forget the request before."""
        self._target, self._headers, self._body = b"", {}, []

    def on_url(self, url: bytes) -> None:
        """Take a piece of the target."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; a client that waits to send its body is told to."""
        self._headers[name.decode().lower()] = value.decode()
        if name.lower() == b"expect" and self._transport is not None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Answer after the delay."""
        target = self._target.decode()
        sending = self._stub.reply(
            self._parser.get_method().decode(), target, self._headers, b"".join(self._body)
        )
        if sending.delay:
            asyncio.get_running_loop().call_later(sending.delay, self._write, sending)
        else:
            self._write(sending)

    def _write(self, sending: Sending) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if sending.is_reset:
            self._transport.abort()
            return
        reply = sending.reply
        body = reply.body[: sending.kept]
        told = len(body) if sending.is_admitted else len(reply.body)
        head = (
            f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}\r\n"
            f"content-type: {reply.kind}\r\ncontent-length: {told}\r\n"
            "x-amzn-requestid: r\r\n\r\n"
        )
        self._transport.write(head.encode() + body)
        if len(body) < told:
            self._transport.close()


async def _serve(port: int) -> None:
    stub = Stub()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(stub), "127.0.0.1", port, backlog=1024)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    async with server:
        # The parent holds our stdin: when it is gone, so are we.
        await loop.run_in_executor(None, sys.stdin.buffer.read)


def main() -> None:
    """Serve until stdin closes; the port is the one line on stdout."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    uvloop.run(_serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
