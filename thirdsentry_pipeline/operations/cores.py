"""A core to keep to for the threads that read many accounts.

Python runs one thread of a process at a time. Where it may run them on several cores, they wake
each other from one to the next and leave behind what was near: a quarter of the CPU of a hundred
accounts (`docs/scaling.md`).
"""

from __future__ import annotations

import functools
import os
import socket
import threading
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

CLAIM = "thirdsentry/core/{}"
"""The name of the claim to a core, among the Unix sockets of Linux that are no files."""

_PLACE_IN_STAT = 36
_choosing = threading.Lock()


class _Core(NamedTuple):
    number: int
    claim: socket.socket


def keep_to_one_core() -> None:
    """Have this thread, and every one it starts, run on the core that this process keeps to.

    A process keeps to one that no other process has claimed, until it ends. Where there is none,
    or the system knows no such thing, nothing changes. Not for a thread that starts processes:
    they would keep to the core as well.
    """
    # A container may forbid any of it.
    with suppress(OSError):
        with _choosing:
            core = _own_core()
        if core is not None:
            os.sched_setaffinity(0, {core.number})


@functools.cache
def _own_core() -> _Core | None:
    if not hasattr(os, "sched_setaffinity"):
        return None
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) == 1:
        return None
    # Linux gave a new thread a core with nothing to do: processes that don't see each other's
    # claims are less likely to meet there than on the first.
    with suppress(OSError, ValueError):
        here = allowed.index(_core_of_this_thread())
        allowed = allowed[here:] + allowed[:here]
    for number in allowed:
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            # The system lets go of it when the process ends, however that is.
            claim.bind(f"\0{CLAIM.format(number)}")
        except OSError:
            claim.close()
        else:
            return _Core(number, claim)
    return None


def _core_of_this_thread() -> int:
    """Field 39 of proc(5)'s stat, counted from the end of the name, which may hold spaces."""
    stat = Path("/proc/thread-self/stat").read_text(encoding="ascii", errors="replace")
    return int(stat.rpartition(")")[2].split()[_PLACE_IN_STAT])


# A fork is another process: it makes its own claim.
os.register_at_fork(after_in_child=_own_core.cache_clear)
