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
from collections import Counter
from http import HTTPStatus
from typing import Any

import httptools
import uvloop

from benchmarks.stub_accounts import StubSettings
from benchmarks.stub_answers import Reply, Request, StubError, action_of, answer, error_reply, parse

_ADMIN = "/_stub/"
# A collection without its session proves nothing: these are delayed, never denied at random.
_NEVER_DENIED = ("sts.", "kms.")


class Stub:
    """What all connections share: settings, counts and the dice of the faults."""

    def __init__(self) -> None:
        self.settings = StubSettings()
        self.calls: Counter[str] = Counter()
        self.dice = random.Random(0)

    def reply(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Reply:
        """The answer to a request and, before it, its place in the count."""
        if target.startswith(_ADMIN):
            return self._administer(target, body)
        service = ""
        try:
            request = parse(method, target, headers, body)
            service = request.service
            action = action_of(request)
            self.calls[action] += 1
            self._maybe_fail(request, action)
            return answer(request, action, self.settings)
        except StubError as error:
            return error_reply(service, error)

    def _administer(self, target: str, body: bytes) -> Reply:
        told: Any = {}
        if target == f"{_ADMIN}settings":
            self.settings = StubSettings.parse(body, self.settings)
            self.dice.seed(self.settings.seed)
        elif target == f"{_ADMIN}calls":
            told = dict(self.calls)
        elif target == f"{_ADMIN}reset":
            self.calls.clear()
        return Reply(200, "application/json", json.dumps(told).encode())

    def delay(self) -> float:
        """The seconds before the next answer."""
        jitter = self.dice.random() * self.settings.jitter_ms if self.settings.jitter_ms else 0.0
        return (self.settings.latency_ms + jitter) / 1000

    def _maybe_fail(self, request: Request, action: str) -> None:
        drawn = self.dice.random()
        if drawn < self.settings.throttle_rate:
            code = "Throttling" if request.service in {"sts", "iam"} else "ThrottlingException"
            raise StubError(400, code, "Rate exceeded")
        drawn -= self.settings.throttle_rate
        if drawn < self.settings.failure_rate:
            raise StubError(500, "InternalFailure", "An internal error")
        drawn -= self.settings.failure_rate
        if drawn < self.settings.denial_rate and not action.startswith(_NEVER_DENIED):
            raise StubError(403, "AccessDenied", "is not authorized to perform this")


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
        reply = self._stub.reply(
            self._parser.get_method().decode(), target, self._headers, b"".join(self._body)
        )
        delay = 0.0 if target.startswith(_ADMIN) else self._stub.delay()
        if delay:
            asyncio.get_running_loop().call_later(delay, self._write, reply)
        else:
            self._write(reply)

    def _write(self, reply: Reply) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        head = (
            f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}\r\n"
            f"content-type: {reply.kind}\r\ncontent-length: {len(reply.body)}\r\n"
            "x-amzn-requestid: r\r\n\r\n"
        )
        self._transport.write(head.encode() + reply.body)


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
