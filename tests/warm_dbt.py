"""dbt as a child process, forked from a server that has imported it and parsed the project once.

A `dbt` of its own spends five seconds of CPU on imports and on what it prepares before it looks
at a file; a fork finds that done and is a process like any other: it can be killed, and has an
environment, a directory and an output of its own. The command itself, as the product starts it,
runs in the tests of the product's jobs and of the demo. All workers ask one server.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Self

from filelock import FileLock

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

REPOSITORY = Path(__file__).resolve().parents[1]
BACKLOG = 64
_started: list[subprocess.Popen[bytes]] = []


class DbtProcess:
    """One dbt command under way; its output is in files, its standard input is empty."""

    def __init__(
        self,
        arguments: Sequence[str],
        directory: Path,
        environment: Mapping[str, str],
        outputs: Path,
    ) -> None:
        self.args = ("dbt", *arguments)
        self._outputs = Path(tempfile.mkdtemp(prefix="dbt-", dir=outputs))
        self._code: int | None = None
        self._server = connected_server()
        self._answers = self._server.makefile("rb")
        request = {
            "arguments": list(arguments),
            "directory": str(directory),
            "environment": dict(environment),
            "outputs": str(self._outputs),
        }
        self._server.sendall(json.dumps(request).encode() + b"\n")
        self.pid: int = json.loads(self._answers.readline())["pid"]
        """The process itself, to send signals to."""

    @property
    def returncode(self) -> int | None:
        """As in `subprocess.Popen`: None while it runs, negative for the signal that ended it."""
        return self.poll()

    def poll(self) -> int | None:
        """The exit code if it ended."""
        if self._code is None and select.select([self._server], [], [], 0)[0]:
            self._wait()
        return self._code

    def kill(self) -> None:
        """Send SIGKILL; what ended already is left alone."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)

    def finish(self) -> subprocess.CompletedProcess[str]:
        """Wait for its end, whatever that is."""
        code = self._wait()
        output, errors = ((self._outputs / name).read_text() for name in ("out", "err"))
        return subprocess.CompletedProcess(self.args, code, output, errors)

    def _wait(self) -> int:
        if self._code is None:
            self._code = json.loads(self._answers.readline())["code"]
            self._answers.close()
            self._server.close()
        return self._code

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._wait()


PROGRAM = """#!{python}
import os, sys, tempfile
sys.path.insert(0, {repository!r})
from pathlib import Path
from tests.warm_dbt import DbtProcess
with tempfile.TemporaryDirectory() as outputs:
    done = DbtProcess(sys.argv[1:], Path.cwd(), os.environ, Path(outputs)).finish()
sys.stdout.write(done.stdout)
sys.stderr.write(done.stderr)
sys.exit(done.returncode)
"""


def write_program(path: Path) -> str:
    """A program that behaves as dbt, for what starts one by its path."""
    path.write_text(PROGRAM.format(python=sys.executable, repository=str(REPOSITORY)))
    path.chmod(0o755)
    return str(path)


def connected_server() -> socket.socket:
    """A connection to the session's server, which the first to ask starts."""
    home = Path(os.environ["THIRDSENTRY_TESTS_POSTGRES"])
    address = home / "dbt.socket"
    with FileLock(home / "dbt.lock"):
        if not address.exists():
            start_server(address, home / "dbt.log")
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(address))
    return connection


def start_server(address: Path, log: Path) -> None:
    """Start it; whoever connects before it is warm waits."""
    # A worker's parent is the process that the whole session ends with.
    owner = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
    with socket.socket(socket.AF_UNIX) as listener, log.open("wb") as output:
        listener.bind(str(address))
        listener.listen(BACKLOG)
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.dbt_server", str(listener.fileno()), str(owner)],
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=[listener.fileno()],
            start_new_session=True,
        )
        _started.append(server)
