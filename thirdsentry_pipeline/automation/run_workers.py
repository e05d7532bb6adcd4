"""Which process works on a run, and whether it still does."""

import json
import os
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path

import psutil

WORKER_TAG = "thirdsentry/worker"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_ZOMBIE = "Z"


class Presence(Enum):
    """What can be said about a process from here."""

    RUNNING = "running"
    GONE = "gone"
    ELSEWHERE = "elsewhere"


@dataclass(frozen=True, slots=True)
class RunWorker:
    """A process, told from others that had its number before or have it later.

    ``started`` is when it started as the system counts it (clock ticks since the boot on Linux,
    which no correction of the clock moves); ``boot`` is which boot of ``host`` it belongs to.
    """

    pid: int
    started: str
    host: str
    boot: str

    @classmethod
    def of(cls, pid: int) -> "RunWorker":
        """The process with this number, on this host.

        Raises:
            ProcessLookupError: there is none.
        """
        started = _started(pid)
        if started is None:
            message = f"there is no process {pid}"
            raise ProcessLookupError(message)
        return cls(pid, started, socket.gethostname(), _boot())

    @classmethod
    def from_tags(cls, tags: Mapping[str, str]) -> "RunWorker | None":
        """The worker that a run's tags name, if they do."""
        try:
            return cls(**json.loads(tags[WORKER_TAG]))
        except (KeyError, TypeError, ValueError):
            return None

    def as_tags(self) -> dict[str, str]:
        """The run tag that names it."""
        return {WORKER_TAG: json.dumps(asdict(self))}

    def presence(self) -> Presence:
        """Whether it still runs; a process of another host can't be seen from here."""
        if self.host != socket.gethostname():
            return Presence.ELSEWHERE
        if self.boot != _boot():
            return Presence.GONE
        return Presence.RUNNING if _started(self.pid) == self.started else Presence.GONE

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


def own_worker() -> RunWorker:
    """This very process."""
    return RunWorker.of(os.getpid())


def _boot() -> str:
    return _BOOT_ID.read_text(encoding="ascii").strip() if _BOOT_ID.is_file() else ""


def _started(pid: int) -> str | None:
    """When a process started; None when there is none, or only its exit code waits."""
    stat = Path(f"/proc/{pid}/stat")
    if _BOOT_ID.is_file():
        try:
            # The second field is the command's name and may hold anything, brackets too.
            fields = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return None if fields[0] == _ZOMBIE else fields[19]
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return f"{process.create_time():.2f}"
    except psutil.NoSuchProcess:
        return None
