"""Organizations an hour through a real Dagster daemon with run history, three ways.

The daemon is a process of its own on the instance that the product writes, its runs are real
runs, and every organization's rows must be there in the end: a run that fails fails this.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import dagster as dg
import psutil
import yaml
from sqlalchemy import text

from benchmarks.lab import Lab, account_id, organization_id
from benchmarks.rows import Row
from thirdsentry_pipeline.automation.instance import DAGSTER_YAML, write_instance
from thirdsentry_pipeline.warehouse import connections
from thirdsentry_pipeline.warehouse.database import engine_for
from thirdsentry_pipeline.warehouse.scope import organization_scope

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

ROOT = Path(__file__).parents[1]
LATENCY_MS = 50.0
ALONE_AN_HOUR = 2_500
BATCHED_AN_HOUR = 5_000
MOST_MEGABYTES = 450
_FIRST = 100_000
_BATCH = 50
_START_SECONDS = 600
_SECONDS_EACH = 60
_LOOK_SECONDS = 0.5
_MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Way:
    """How the organizations of a night are collected, and what it has to reach."""

    name: str
    organizations: int
    per_run: int = 1
    is_forked: bool = True
    reach: int | None = None


@dataclass(frozen=True)
class Found:
    """What one way reached."""

    an_hour: float
    runs: int
    most_rss: float
    most_pss: float


def ways(*, full: bool) -> Sequence[Way]:
    return (
        Way("Dagster's own launcher, one process each", 60 if full else 12, is_forked=False),
        Way("forked, one process each", 1_000 if full else 48, reach=ALONE_AN_HOUR),
        Way(f"forked, {_BATCH} in a run", 1_000 if full else 150, _BATCH, reach=BATCHED_AN_HOUR),
    )


def through_the_daemon(lab: Lab, *, full: bool) -> list[Row]:
    """A row per way, and one for the memory of a batched run."""
    lab.stub.configure(latency_ms=LATENCY_MS, users=100)
    rows = []
    for number, way in enumerate(ways(full=full)):
        found = measure(lab, way, _FIRST * (number + 1))
        rows.append(
            Row(
                f"{way.organizations} organizations through the daemon: {way.name}",
                f"{found.an_hour:,.0f} an hour ({found.runs} runs)",
                f"≥ {way.reach:,} an hour" if way.reach else "",
                None if way.reach is None else found.an_hour >= way.reach,
            )
        )
        rows.append(
            Row(
                f"memory of a run: {way.name}",
                f"{found.most_rss:.0f} MB ({found.most_pss:.0f} MB its own share)",
                f"≤ {MOST_MEGABYTES} MB",
                found.most_rss <= MOST_MEGABYTES,
            )
        )
    return rows


def measure(lab: Lab, way: Way, first: int) -> Found:
    """Connect the organizations, let a daemon collect them, and take them away again."""
    organizations = [organization_id(first + number) for number in range(way.organizations)]
    made: list[tuple[str, UUID]] = []
    for number, organization in enumerate(organizations):
        (connection,) = lab.connect(organization, [account_id(first + number)])
        made.append((organization, connection))
    home = write_home(lab, way)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        before = {run.run_id for run in instance.get_runs()}
        with Daemon(lab, home, way) as daemon:
            daemon.wait(instance, before, len(organizations))
        records = [
            one for one in instance.get_run_records() if one.dagster_run.run_id not in before
        ]
    collected = collected_organizations(lab, first)
    if collected != len(organizations):
        message = f"{way.name}: {collected} of {len(organizations)} organizations were collected"
        raise RuntimeError(message)
    for organization, connection in made:
        with organization_scope(lab.services.pipeline, organization) as database:
            connections.revoke_connection(database, connection)
    began = min(one.create_timestamp.timestamp() for one in records)
    ended = max(one.end_time or 0.0 for one in records)
    return Found(
        an_hour=len(organizations) / (ended - began) * 3600,
        runs=len(records),
        most_rss=daemon.most_rss / _MEGABYTE,
        most_pss=daemon.most_pss / _MEGABYTE,
    )


def write_home(lab: Lab, way: Way) -> Path:
    """The instance as the product writes it, or without our launcher; and the workspace."""
    home = write_instance(lab.settings)
    if not way.is_forked:
        path = home / DAGSTER_YAML
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        content.pop("run_launcher", None)
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
    module = {
        "module_name": "benchmarks.daemon_location",
        "working_directory": str(ROOT),
        "location_name": f"thirdsentry-{way.organizations}-{way.per_run}",
        "executable_path": sys.executable,
    }
    workspace = {"load_from": [{"python_module": module}]}
    (home / "workspace.yaml").write_text(yaml.safe_dump(workspace), encoding="utf-8")
    return home


def collected_organizations(lab: Lab, first: int) -> int:
    """How many organizations of a measurement have a whole run in the warehouse."""
    engine = engine_for(lab.settings.login_url("admin"))
    query = (
        "select count(distinct organization_id) from warehouse.connector_runs"
        " where status = 'succeeded' and organization_id between :first and :last"
    )
    bounds = {"first": organization_id(first), "last": organization_id(first + _FIRST - 1)}
    try:
        with engine.connect() as connection:
            return int(connection.execute(text(query), bounds).scalar_one())
    finally:
        engine.dispose()


class Daemon:
    """The daemon's process, and the memory of the runs it starts."""

    def __init__(self, lab: Lab, home: Path, way: Way) -> None:
        self.most_rss = self.most_pss = 0
        self._way = way
        self._log = home / "daemon.log"
        environment = {
            **os.environ,
            "DAGSTER_HOME": str(home),
            "THIRDSENTRY_HOME": str(lab.settings.home),
            "THIRDSENTRY_ORGANIZATIONS_PER_RUN": str(way.per_run),
        }
        command = [sys.executable, "-m", "dagster._daemon", "run", "-w", "workspace.yaml"]
        with self._log.open("wb") as log:
            self._process = psutil.Popen(
                command, cwd=home, env=environment, stdout=log, stderr=subprocess.STDOUT
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        family = self._process.children(recursive=True)
        self._process.terminate()
        try:
            self._process.wait(30)
        except psutil.TimeoutExpired:
            self._process.kill()
        for one in family:
            if one.is_running():
                one.kill()

    def wait(self, instance: dg.DagsterInstance, before: set[str], organizations: int) -> None:
        """Wait until every run that was asked for has succeeded.

        Raises:
            RuntimeError: a run did not succeed, the daemon ended, or it took far too long.
        """
        expected = -(-organizations // self._way.per_run)
        started = time.monotonic()
        while True:
            time.sleep(_LOOK_SECONDS)
            self._look_at_memory()
            failed = self._count(instance, dg.DagsterRunStatus.FAILURE, before)
            canceled = self._count(instance, dg.DagsterRunStatus.CANCELED, before)
            done = self._count(instance, dg.DagsterRunStatus.SUCCESS, before)
            if failed or canceled:
                self._fail(f"{failed} runs failed and {canceled} were cancelled")
            if self._process.poll() is not None:
                self._fail("the daemon ended")
            if done >= expected:
                return
            waited = time.monotonic() - started
            if waited > _START_SECONDS + (organizations * _SECONDS_EACH if done else 0):
                self._fail(f"only {done} of {expected} runs were through in time")

    @staticmethod
    def _count(instance: dg.DagsterInstance, status: dg.DagsterRunStatus, before: set[str]) -> int:
        runs = instance.run_storage.get_run_ids(dg.RunsFilter(statuses=[status]))
        return len(set(runs) - before)

    def _fail(self, what: str) -> None:
        tail = "\n".join(self._log.read_text("utf-8", "replace").splitlines()[-40:])
        message = f"{self._way.name}: {what}. The daemon's log ends:\n{tail}"
        raise RuntimeError(message)

    def _look_at_memory(self) -> None:
        for one in self._process.children(recursive=True):
            try:
                if not is_worker(one):
                    continue
                memory = one.memory_full_info()
            except psutil.Error:
                continue
            self.most_rss = max(self.most_rss, memory.rss)
            self.most_pss = max(self.most_pss, memory.pss)


def is_worker(process: psutil.Process) -> bool:
    """Whether it is the process of a run: a fork of the server, or spawned by a code server."""
    command = " ".join(process.cmdline())
    if "fork_server" in command:
        parent = process.parent()
        return parent is not None and "fork_server" in " ".join(parent.cmdline())
    return "spawn_main" in command
