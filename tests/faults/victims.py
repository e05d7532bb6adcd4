"""Processes that die: real runs forked from a warm zygote, killed for real."""

import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
END_SECONDS = 120


@dataclass
class Victim:
    """One process; ``code`` is its exit code, negative the signal that ended it."""

    pid: int
    output: Path
    zygote: "Zygote" = field(repr=False)

    def kill(self, number=signal.SIGKILL):
        """Send a signal to a victim that may have ended already."""
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return

    def wait(self):
        """Wait for its end; the exit code."""
        return self.zygote.ended(self.pid)

    def said(self):
        return self.output.read_text(errors="replace")


class Zygote:
    """A warm process that forks victims; used by one thread, its answers read by another."""

    def __init__(self, outputs: Path) -> None:
        self._outputs = outputs
        self._number = 0
        self._starts = []
        self._codes = {}
        self._changed = threading.Condition()
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("THIRDS")},
            "PYTHONPATH": str(REPOSITORY),
            # Threads of the importing process would not be there in its forks.
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
        }
        self._log = (outputs / "zygote.log").open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.zygote"],
            cwd=REPOSITORY,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self._process.stdout:
            said = json.loads(line)
            with self._changed:
                if "started" in said:
                    # The system gives the ids of the dead again: an older victim's end is not its.
                    self._codes.pop(said["started"], None)
                    self._starts.append(said["started"])
                elif "ended" in said:
                    self._codes[said["ended"]] = said["code"]
                self._changed.notify_all()
        with self._changed:
            self._starts.append(None)
            self._changed.notify_all()

    def start(self, job, *arguments, step=None, act="die", environment=None):
        """Fork a victim that runs the job and dies at the step (or acts otherwise there)."""
        self._number += 1
        output = self._outputs / f"victim-{self._number}.log"
        output.touch()
        request = {
            "environment": {**os.environ, **(environment or {})},
            "job": job,
            "arguments": arguments,
            "step": step,
            "act": act,
            "output": str(output),
        }
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        with self._changed:
            assert self._changed.wait_for(lambda: self._starts, END_SECONDS)
            pid = self._starts.pop(0)
        assert pid is not None, (self._outputs / "zygote.log").read_text()
        return Victim(pid, output, self)

    def ended(self, pid):
        with self._changed:
            found = self._changed.wait_for(lambda: pid in self._codes, END_SECONDS)
            assert found, f"victim {pid} did not end"
            return self._codes[pid]

    def close(self):
        self._process.stdin.close()
        self._process.wait(END_SECONDS)
        self._reader.join(END_SECONDS)
        self._process.stdout.close()
        self._log.close()
