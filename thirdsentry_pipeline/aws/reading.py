"""Concurrent reads: a bounded pool, one outcome per read, one deadline for the whole account."""

from __future__ import annotations

import functools
import logging
import os
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

from botocore.exceptions import ClientError

from thirdsentry_pipeline.aws.errors import RegionDisabled, classify, error_code_of
from thirdsentry_pipeline.domain.evidence import ErrorCode
from thirdsentry_pipeline.domain.facts import Fact, RegionScope, Unread

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")

Answer: TypeAlias = T | Unread | RegionDisabled
"""A value, why it could not be read, or the news that the region is not in use."""

_MOST_THREADS = 1_024
_log = logging.getLogger(__name__)


def attempt(action: str, read: Callable[[], T | Unread]) -> Answer[T]:
    """Run one read and turn whatever goes wrong into its class; nothing is raised.

    ``action`` names the read, such as ``iam:ListUsers``; when a read makes several calls, the
    one that failed is named instead.
    """
    try:
        return read()
    except Exception as error:  # noqa: BLE001 - one read must not cost another its result
        outcome = classify(error)
        if isinstance(error, ClientError):
            action = f"{action.partition(':')[0]}:{error.operation_name}"
        if outcome is ErrorCode.BUG:
            _log.error("%s failed unexpectedly: %s", action, describe(error))
        return outcome if isinstance(outcome, RegionDisabled) else Unread(outcome, action)


def settled(answer: Answer[T], action: str) -> Fact[T]:
    """The fact of an account-wide read, where a region that is not in use is a denial."""
    return Unread(ErrorCode.DENIED, action) if isinstance(answer, RegionDisabled) else answer


def describe(error: BaseException) -> str:
    """An error in one line for the log: its type, AWS's code or its place, never its text."""
    if isinstance(error, ClientError):
        return f"ClientError {error_code_of(error)[:80]!a}"
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "nowhere"
    return f"{type(error).__name__} at {place}"


class Slot(Generic[T]):
    """Where a read leaves its answer; until then, it is unread."""

    __slots__ = ("answer",)

    def __init__(self, action: str) -> None:
        self.answer: Answer[T] = Unread(ErrorCode.TRANSIENT, action)


@functools.cache
def _threads() -> ThreadPoolExecutor:
    """The threads of all accounts: to start some anew for each costs as much as many calls.

    A read that hangs keeps its thread until its own time is over, so there are many more than
    all the accounts of a process use at once.
    """
    return ThreadPoolExecutor(
        _MOST_THREADS, thread_name_prefix="aws-read", initializer=_let_others_finish
    )


def _let_others_finish() -> None:
    """Have this thread not take a core from another as soon as an answer wakes it up.

    Python runs one thread at a time: those that many answers wake would only push each other
    aside, and spend a tenth of the CPU on it.
    """
    if hasattr(os, "SCHED_BATCH"):
        # A container may forbid it.
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


# Threads don't follow a process into its fork.
os.register_at_fork(after_in_child=_threads.cache_clear)


class Reads:
    """The reads of one account: at most ``max_workers`` at once, none beyond the deadline."""

    def __init__(self, *, max_workers: int, deadline_seconds: float) -> None:
        self._stop_at = time.monotonic() + deadline_seconds
        self._changed = threading.Condition()
        self._waiting: deque[Callable[[], None]] = deque()
        self._free_workers = max_workers
        self._open = 0
        self._closed = False

    def start(
        self,
        action: str,
        read: Callable[[], T | Unread],
        then: Callable[[Answer[T]], None] | None = None,
    ) -> Slot[T]:
        """Read in the background; ``then`` gets the answer and may start further reads.

        A read started after the deadline stays unread.
        """
        slot: Slot[T] = Slot(action)
        with self._changed:
            if self._closed:
                return slot
            self._open += 1
            self._waiting.append(partial(self._run, action, read, then, slot))
            if self._free_workers == 0:
                return slot
            self._free_workers -= 1
        _threads().submit(self._work)
        return slot

    def finish(self) -> None:
        """Wait until every read has an answer or the deadline has passed."""
        try:
            with self._changed:
                remaining = max(0.0, self._stop_at - time.monotonic())
                self._changed.wait_for(lambda: self._open == 0, timeout=remaining)
        finally:
            with self._changed:
                self._closed = True
                self._waiting.clear()

    def _work(self) -> None:
        """Take one read after the other while there are any."""
        while True:
            with self._changed:
                if not self._waiting:
                    self._free_workers += 1
                    return
                read = self._waiting.popleft()
            read()

    def _run(
        self,
        action: str,
        read: Callable[[], T | Unread],
        then: Callable[[Answer[T]], None] | None,
        slot: Slot[T],
    ) -> None:
        try:
            answer = attempt(action, read)
            if then is not None:
                then(answer)
            slot.answer = answer
        except Exception as error:  # noqa: BLE001 - a worker must not die silently
            _log.error("%s failed unexpectedly: %s", action, describe(error))
            slot.answer = Unread(ErrorCode.BUG, action)
        finally:
            with self._changed:
                self._open -= 1
                if self._open == 0:
                    self._changed.notify_all()


def within_scope(
    scope: Fact[RegionScope], answers: Mapping[str, Answer[T]], action: str
) -> tuple[Fact[RegionScope], dict[str, Fact[T]]]:
    """Split regional answers into the scope that remains and the facts within it.

    Regions AWS calls disabled leave the scope. If that is all of them, the scope itself is
    unread: "nowhere" must never be taken for "everywhere is fine".
    """
    if isinstance(scope, Unread):
        return scope, {}
    facts: dict[str, Fact[T]] = {}
    for region in scope.in_scope:
        answer = answers.get(region, Unread(ErrorCode.TRANSIENT, action))
        if not isinstance(answer, RegionDisabled):
            facts[region] = answer
    if scope.in_scope and not facts:
        return Unread(ErrorCode.DENIED, action), {}
    return RegionScope(tuple(facts), scope.waived, scope.kind), facts
