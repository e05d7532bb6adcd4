"""Child processes that never outlive us: one process group each, stopped together."""

import errno
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from thirdsentry_pipeline.domain.errors import ConfigurationError, ThirdSentryError
from thirdsentry_pipeline.local import process_guard
from thirdsentry_pipeline.local.interrupts import was_interrupted

HOST = "127.0.0.1"
STOP_SECONDS = 10.0
POLL_SECONDS = 0.25
REQUEST_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Child:
    """One supervised process; its process group carries the guard's process id."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path


class ChildProcesses:
    """Starts children, says which one died, and stops every one of them on exit."""

    def __init__(self, logs: Path) -> None:
        """Name the directory of the children's logs; it is made when missing."""
        self._logs = logs
        self._children: list[Child] = []

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start one child; what it prints goes to ``<logs>/<name>.log``."""
        self._logs.mkdir(parents=True, exist_ok=True)
        log = self._logs / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", process_guard.__file__, *command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                start_new_session=True,
            )
        self._children.append(Child(name, process, log))

    def check(self) -> None:
        """Raise ThirdSentryError when a child ended, naming it and its log."""
        for child in self._children:
            code = child.process.poll()
            if code is not None:
                message = f"The {child.name} ended by itself (exit code {code}): see {child.log}."
                raise ThirdSentryError(message)

    def stop(self) -> None:
        """Stop every group, and wait until nothing of them runs; interrupts wait meanwhile."""
        children, self._children = self._children, []
        if not children:
            return
        with uninterrupted():
            groups = {child.process.pid for child in children} | groups_below(children)
            send(groups, signal.SIGTERM)
            deadline = time.monotonic() + STOP_SECONDS
            while members(groups) and time.monotonic() < deadline:
                reap(children)
                time.sleep(POLL_SECONDS / 5)
            send(groups, signal.SIGKILL)
            for child in children:
                child.process.wait()
                if child.process.stdin is not None:
                    child.process.stdin.close()

    def __enter__(self) -> Self:
        """Nothing runs yet."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop everything, whatever happened."""
        self.stop()


def groups_below(children: Sequence[Child]) -> set[int]:
    """The groups of all their descendants: runs that the daemon forked lead their own."""
    found: set[int] = set()
    for child in children:
        with suppress(psutil.NoSuchProcess):
            for process in psutil.Process(child.process.pid).children(recursive=True):
                with suppress(ProcessLookupError):
                    found.add(os.getpgid(process.pid))
    return found


def send(groups: set[int], number: signal.Signals) -> None:
    """Signal each group that still exists."""
    for group in groups:
        with suppress(ProcessLookupError):
            os.killpg(group, number)


def reap(children: Sequence[Child]) -> None:
    """Collect the children that ended, so that none lingers as a zombie."""
    for child in children:
        child.process.poll()


def members(groups: set[int]) -> list[int]:
    """The processes of the groups that still run; a zombie does not."""
    found = []
    for process in psutil.process_iter(["status"]):
        with suppress(ProcessLookupError, PermissionError):
            if os.getpgid(process.pid) in groups and process.info["status"] != "zombie":
                found.append(process.pid)
    return found


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ignore further interrupts while stopping: a second Ctrl-C must not leave orphans."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def require_free_port(port: int) -> None:
    """Raise ConfigurationError when something listens on the port of 127.0.0.1 already."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            reason = "occupied" if error.errno == errno.EADDRINUSE else "not ours to use"
            message = f"Port {port} on {HOST} is {reason}: choose another one with --port."
            raise ConfigurationError(message) from None


def wait_for_interrupt(check: Callable[[], None]) -> None:
    """Wait until Ctrl-C or a polite kill; ``check`` runs meanwhile and raises what went wrong."""
    with suppress(KeyboardInterrupt):
        while True:
            check()
            time.sleep(POLL_SECONDS)
    was_interrupted()


def answers(url: str) -> bool:
    """Whether a local address answers with success; proxies are not asked."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=REQUEST_SECONDS) as response:
            return bool(response.status == 200)  # noqa: PLR2004 - HTTP's own number
    except (urllib.error.URLError, OSError):
        return False
