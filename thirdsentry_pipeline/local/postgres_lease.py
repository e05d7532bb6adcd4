"""Who uses a temporary server: a shared lock per user, and the watchdog that waits for none."""

import fcntl
import subprocess
import sys
from pathlib import Path
from typing import IO

from thirdsentry_pipeline.local import postgres_watchdog


class Lease:
    """One user's share in the server; the system ends it with the process."""

    def __init__(self, path: Path) -> None:
        """Open the lock file, made when missing; nothing is locked yet."""
        self._file: IO[bytes] = path.open("ab")

    def share(self) -> None:
        """Become a user; waits while the server is being stopped."""
        fcntl.flock(self._file, fcntl.LOCK_SH)

    def try_share(self) -> bool:
        """Whether nobody is stopping the server; on success we are a user again."""
        return self._try(fcntl.LOCK_SH)

    def try_alone(self) -> bool:
        """Whether we are the last user; newcomers then wait. Failing ends our share."""
        return self._try(fcntl.LOCK_EX)

    def close(self) -> None:
        """End our share."""
        self._file.close()

    def _try(self, kind: int) -> bool:
        try:
            fcntl.flock(self._file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def start_watchdog(lock: Path, data: Path, pid: int, server_file: Path) -> subprocess.Popen[bytes]:
    """Start the process that stops the server after its last user."""
    return subprocess.Popen(
        [
            *(sys.executable, "-I", "-S", postgres_watchdog.__file__),
            *(str(lock), str(data), str(pid), str(server_file)),
        ],
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
