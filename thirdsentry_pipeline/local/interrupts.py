"""Interrupts are remembered, also those that a library's own handler took for itself.

Dagster replaces the handlers while a job runs and ends the run as failed; whoever started the
job has to stop as well. Python writes the number of every signal that has a handler into the
wakeup descriptor, whatever that handler does.
"""

import os
import signal
from types import FrameType

INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_received: list[int] = []


def remember_interrupts() -> None:
    """Let Ctrl-C, a polite kill and a closed terminal raise KeyboardInterrupt; main thread only.

    SIGINT too: a shell starts background jobs with it ignored, and Python keeps that.
    """
    if not _received:
        reader, writer = os.pipe()
        for end in (reader, writer):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        _received.append(reader)
    for number in INTERRUPTS:
        signal.signal(number, interrupt)


def interrupt(_signal: int, _frame: FrameType | None) -> None:
    """Unwind everything."""
    raise KeyboardInterrupt


def was_interrupted() -> bool:
    """Whether an interrupt arrived since this was asked last."""
    numbers: set[int] = set()
    for reader in _received:
        try:
            while chunk := os.read(reader, 4096):
                numbers.update(chunk)
        except BlockingIOError:
            continue
    return bool(numbers & set(INTERRUPTS))


def raise_if_interrupted() -> None:
    """Raise the KeyboardInterrupt that a library kept to itself."""
    if was_interrupted():
        raise KeyboardInterrupt
