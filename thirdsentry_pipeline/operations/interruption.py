"""Ending a sync early, wherever it waits."""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from queue import Empty
from typing import TYPE_CHECKING, TypeVar

from thirdsentry_pipeline.domain.errors import RunFailedError
from thirdsentry_pipeline.domain.evidence import ErrorCode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from queue import SimpleQueue

    from thirdsentry_pipeline.aws.transport import Transport

T = TypeVar("T")
_LOOK_UP_SECONDS = 1.0


def take(ended: SimpleQueue[T]) -> T:
    """Wait for the next of ``ended``, and let signals reach the thread that waits.

    A signal that comes while a thread is on its way into a wait, or that the system hands to
    another thread, is only noted: it ends no wait, and would be heard when the wait is over.
    """
    while True:
        with suppress(Empty):
            return ended.get(timeout=_LOOK_UP_SECONDS)


class Interruption:
    """Ends a sync early: waits and requests under way stop, and nothing more is recorded."""

    def __init__(self) -> None:
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._transports: set[Transport] = set()

    def stop(self) -> None:
        """Tell every connection to stop; returns at once."""
        with self._lock:
            self._stopped.set()
            for transport in self._transports:
                transport.close()

    @contextmanager
    def watching(self, transport: Transport) -> Iterator[None]:
        """Let ``stop`` end what is sent with the transport.

        Raises:
            RunFailedError: ``transient``, when the sync was told to stop already.
        """
        with self._lock:
            self.check()
            self._transports.add(transport)
        try:
            yield
        finally:
            with self._lock:
                self._transports.discard(transport)

    def sleep(self, seconds: float) -> None:
        """Wait like ``time.sleep``, but give up as soon as the sync is told to stop.

        Raises:
            RunFailedError: ``transient``, when it was.
        """
        self._stopped.wait(seconds)
        self.check()

    def check(self) -> None:
        """Give up if the sync was told to stop.

        Raises:
            RunFailedError: ``transient``, when it was.
        """
        if self._stopped.is_set():
            message = "The sync was stopped before it ended."
            raise RunFailedError(ErrorCode.TRANSIENT, message)
