"""The launcher's end of a preloaded server: starting it, asking it, ending it."""

import json
import os
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from sysconfig import get_path
from typing import Any

import thirdsentry_pipeline
from thirdsentry_pipeline.domain.errors import ThirdSentryError

SERVER_MODULE = "thirdsentry_pipeline.automation.fork_server"
ANSWER_SECONDS = 120.0
END_SECONDS = 5.0
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""numpy starts a thread per core at import otherwise, and a fork copies one thread alone."""

PACKAGE = Path(thirdsentry_pipeline.__file__).parent
DBT_PROJECT = PACKAGE.parent / "dbt"


class ForkProcess:
    """One running server and the socket to it.

    The socket is a pair without a name: nobody else can connect, and the server ends when this
    process does.
    """

    def __init__(self, executable: str, version: str) -> None:
        self.version = version
        self._socket, theirs = socket.socketpair()
        self._socket.settimeout(ANSWER_SECONDS)
        with theirs:
            self._process = subprocess.Popen(
                [executable, "-m", SERVER_MODULE, str(theirs.fileno())],
                env={**os.environ, **ONE_THREAD},
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                # Ctrl-C in a terminal reaches the whole group: the runs are not meant.
                start_new_session=True,
            )
        self._answers = self._socket.makefile("rb")

    @property
    def pid(self) -> int:
        """The server's process."""
        return self._process.pid

    def is_running(self) -> bool:
        """Whether it may still be asked."""
        return self._process.poll() is None

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Send one request and wait for its answer.

        Raises:
            ThirdSentryError: the server ended or did not answer; it is gone then.
        """
        try:
            self._socket.sendall(json.dumps(request).encode() + b"\n")
            answer: dict[str, Any] = json.loads(self._answers.readline())
        except (OSError, ValueError):
            self.close()
            message = (
                "The preloaded server of the code location ended or did not answer within "
                f"{ANSWER_SECONDS:.0f} s; its own log says why."
            )
            raise ThirdSentryError(message) from None
        return answer

    def close(self) -> None:
        """End the server; processes that it forked go on."""
        for end in (self._answers, self._socket):
            with suppress(OSError):
                end.close()
        # It has nothing to finish, and may still be importing what nobody will use.
        self._process.terminate()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def code_on_disk() -> str:
    """A digest of what a new process would import: names, sizes and times of the files."""
    digest = sha256()
    installed = Path(get_path("purelib"))
    for path in (installed, *_files(PACKAGE, "*.py"), *_files(DBT_PROJECT, "*")):
        with suppress(FileNotFoundError):
            stat = path.stat()
            digest.update(f"{path} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _files(root: Path, pattern: str) -> Iterator[Path]:
    """Files below a directory, without what programs write there while they run."""
    for folder, names, files in os.walk(root):
        names[:] = sorted(name for name in names if name not in {"target", "logs", "__pycache__"})
        yield from (Path(folder, name) for name in sorted(files) if Path(name).match(pattern))
