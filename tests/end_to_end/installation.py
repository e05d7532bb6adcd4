"""The product as a newcomer runs it: subprocesses of the installed command, in a home of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg
from psycopg.rows import dict_row

from thirdsentry_pipeline.local.postgres import free_port

COMMAND = str(Path(sys.executable).with_name("thirdsentry"))
DEMO_SECONDS = 400
STOP_SECONDS = 60


@dataclass(frozen=True)
class Finished:
    code: int
    out: str
    err: str

    @property
    def document(self):
        return json.loads(self.out)


class Installation:
    def __init__(self, home: Path) -> None:
        self.home = home
        mine = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AWS_", "THIRDSENTRY_", "DAGSTER_", "COLUMNS"))
        }
        self.environment = {**mine, "THIRDSENTRY_HOME": str(home)}
        self._urls = {}

    def run(self, *arguments, environment=None, timeout=DEMO_SECONDS) -> Finished:
        finished = subprocess.run(
            [COMMAND, *arguments],
            env={**self.environment, **(environment or {})},
            cwd=self.home.parent,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Finished(finished.returncode, finished.stdout, finished.stderr)

    @contextmanager
    def started(self, *arguments):
        """A running command and the file of its stderr; killed at the end if it still runs."""
        errors = self.home.parent / f"{arguments[0]}-{free_port()}.err"
        with errors.open("w") as stderr:
            process = subprocess.Popen(
                [COMMAND, *arguments],
                env=self.environment,
                cwd=self.home.parent,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
            )
        try:
            yield process, errors
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait(STOP_SECONDS)

    def wait_for(self, process, errors: Path, text: str) -> None:
        deadline = time.monotonic() + DEMO_SECONDS
        while text not in errors.read_text():
            assert process.poll() is None, errors.read_text()[-2000:]
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def sandbox_environment(self):
        lines = (self.home / "sandbox.env").read_text().splitlines()
        pairs = (line.removeprefix("export ").split("=", 1) for line in lines)
        return {name: value.strip("'") for name, value in pairs}

    def rows(self, query, role="pipeline", organization_id=None):
        """What psql would show through `thirdsentry db url`, of one server for all its life."""
        if role not in self._urls:
            self._urls[role] = self.run("db", "url", "--role", role).out.strip()
        with psycopg.connect(self._urls[role], row_factory=dict_row) as connection:
            if organization_id:
                connection.execute(
                    "select set_config('app.organization_id', %s, true)", (organization_id,)
                )
            return connection.execute(query).fetchall()

    def processes(self):
        """Every process that has the home on its command line; a zombie has none."""
        return [
            (process.info["pid"], process.info["cmdline"])
            for process in psutil.process_iter(["pid", "cmdline"])
            if str(self.home) in " ".join(process.info["cmdline"] or [])
        ]

    def wait_until_nothing_runs(self):
        deadline = time.monotonic() + STOP_SECONDS
        while self.processes():
            assert time.monotonic() < deadline, self.processes()
            time.sleep(0.1)
