"""dbt as a child process, forked from a server that has imported it and parsed the project once.

A `dbt` of its own spends five seconds of CPU on imports and on what it prepares before it looks
at a file; a fork finds that done and is a process like any other: it can be killed, and has an
environment, a directory and an output of its own. The command itself, as the product starts it,
runs in the tests of the product's jobs and of the demo.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["tests.dbt_preload"])


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
        self._process = _SERVER.Process(
            target=_become_dbt,
            args=(list(arguments), str(directory), dict(environment), str(self._outputs)),
        )
        self._process.start()

    @property
    def pid(self) -> int:
        """The process itself, to send signals to."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """As in `subprocess.Popen`: None while it runs, negative for the signal that ended it."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """The exit code if it ended."""
        return self._process.exitcode

    def kill(self) -> None:
        """Send SIGKILL; what ended already is left alone."""
        self._process.kill()

    def finish(self) -> subprocess.CompletedProcess[str]:
        """Wait for its end, whatever that is."""
        self._process.join()
        code = self._process.exitcode
        assert code is not None
        output, errors = ((self._outputs / name).read_text() for name in ("out", "err"))
        return subprocess.CompletedProcess(self.args, code, output, errors)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.join()


def _become_dbt(
    arguments: Sequence[str], directory: str, environment: Mapping[str, str], outputs: str
) -> None:
    from dbt.cli.main import cli  # noqa: PLC0415 - only the server and its forks know dbt

    for number, name in ((1, "out"), (2, "err")):
        file = os.open(Path(outputs, name), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(directory)
    sys.argv = ["dbt", *arguments]
    cli(list(arguments))
