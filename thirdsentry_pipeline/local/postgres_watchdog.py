"""Stops a temporary server once its last user is gone, however that user ended.

Users hold a shared lock on one file, which the system drops even after a kill -9. This process
waits for the exclusive lock. It runs as a file of its own, on the standard library alone, so
that it is up in milliseconds: ``python postgres_watchdog.py LOCK DATA PID SERVER_FILE``.
"""

import fcntl
import json
import os
import signal
import sys
import time
from pathlib import Path

PATIENCE_SECONDS = 60


def still_serves(data: Path, pid: int) -> bool:
    """Whether the data directory's server is the one we were started for."""
    try:
        first_line = (data / "postmaster.pid").read_text(encoding="utf-8").partition("\n")[0]
    except FileNotFoundError:
        return False
    return first_line.strip() == str(pid)


def became_persistent(server_file: Path) -> bool:
    """Whether `db start` took the server over in the meantime."""
    try:
        return bool(json.loads(server_file.read_text(encoding="utf-8")).get("persistent"))
    except (FileNotFoundError, ValueError):
        return False


def watch(lock: Path, data: Path, pid: int, server_file: Path) -> None:
    """Wait for the last user, then stop the server and hold newcomers until it is down."""
    with lock.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if became_persistent(server_file) or not still_serves(data, pid):
            return
        try:
            os.kill(pid, signal.SIGINT)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + PATIENCE_SECONDS
        while still_serves(data, pid) and time.monotonic() < deadline:
            time.sleep(0.02)


if __name__ == "__main__":
    watch(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
