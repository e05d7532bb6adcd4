"""Run the sandbox as a process of its own, for the length of a ``with`` block."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import IO, TYPE_CHECKING

from thirdsentry_pipeline.domain.errors import ThirdSentryError
from thirdsentry_pipeline.local.sandbox_client import SandboxAdmin

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType
    from typing import Self

_START_SECONDS = 60.0
_STOP_SECONDS = 5.0
_READY = "sandbox ready on "


class SandboxProcess:
    """Starts the sandbox with its state in ``<home>/sandbox``; port 0 takes any free one.

    ``environment`` are the variables that point the pipeline at it.
    """

    def __init__(self, home: Path, port: int = 0) -> None:
        self._home = home
        self._port = port
        self._process: subprocess.Popen[str] | None = None
        self.endpoint_url = ""
        self._admin = SandboxAdmin("")
        self.environment: dict[str, str] = {}

    def __enter__(self) -> Self:
        """Start it.

        Raises:
            ThirdSentryError: it did not start; the text says why.
        """
        state = self._home / "sandbox"
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        environ = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "MOTO_"))}
        command = [sys.executable, "-m", "thirdsentry_pipeline.local.sandbox"]
        command += ["--port", str(self._port), "--state", str(state)]
        command += ["--exit-with-parent", str(os.getpid())]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environ,
            start_new_session=True,  # a Ctrl-C reaches us alone; we stop it in order
        )
        try:
            self.endpoint_url = self._wait_until_ready(self._process)
            self._admin = SandboxAdmin(self.endpoint_url)
            self.environment = self._admin.environment()
        except BaseException:
            self.stop()
            raise
        return self

    @property
    def admin(self) -> SandboxAdmin:
        """The client of its admin API."""
        return self._admin

    def stop(self) -> None:
        """Stop it; a second call does nothing."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for stream in (process.stdout, process.stderr):
            if stream:
                stream.close()

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _value: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Stop it."""
        self.stop()

    def _wait_until_ready(self, process: subprocess.Popen[str]) -> str:
        output, errors = process.stdout, process.stderr
        if output is None or errors is None:
            msg = "The sandbox was started without its pipes."
            raise ThirdSentryError(msg)
        stalled = threading.Timer(_START_SECONDS, process.kill)
        stalled.start()
        try:
            line = output.readline()
        finally:
            stalled.cancel()
        if not line.startswith(_READY):
            reason = errors.read().strip().splitlines()
            msg = f"The AWS sandbox did not start: {reason[-1] if reason else 'no answer'}"
            raise ThirdSentryError(msg)
        threading.Thread(target=_drain, args=(errors,), daemon=True).start()
        return line.removeprefix(_READY).strip()


def _drain(stream: IO[str]) -> None:
    """Read on, so that the sandbox never blocks on a full pipe."""
    try:
        for _line in stream:
            pass
    except ValueError:
        return  # closed by stop()
