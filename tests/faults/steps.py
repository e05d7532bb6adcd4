"""Where a victim dies: named steps of the product's own functions, wrapped from outside.

The product has no test switch. A victim imports it, wraps one function (or one SQL statement)
and kills itself with SIGKILL there, so nothing runs afterwards: no ``finally``, no ``atexit``.
"""

import importlib
import os
import re
import resource
import signal
import time
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.engine.default import DefaultDialect

POSTMASTER = "THIRDSENTRY_TESTS_POSTMASTER"
MEETING = "THIRDSENTRY_TESTS_MEETING"
MEETING_SECONDS = 60


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def stop_postgres():
    """An immediate stop: every backend ends at once, as if the power had gone."""
    os.kill(int(os.environ[POSTMASTER]), signal.SIGQUIT)


def starve():
    """No more memory from here on than there is."""
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - procfs
        size = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size, size))


def meet(times=count()):  # noqa: B008 - one count per process
    """Wait until another process has come as far as often, and go on at the same moment."""
    place = Path(os.environ[MEETING], f"{next(times)}")
    place.mkdir(exist_ok=True)
    (place / str(os.getpid())).touch()
    end = time.monotonic() + MEETING_SECONDS
    while len(list(place.iterdir())) < 2:
        assert time.monotonic() < end, "nobody else came"
        time.sleep(0.005)


ACTS = {"die": die, "stop postgres": stop_postgres, "starve": starve, "meet": meet}


@dataclass(frozen=True)
class Call:
    """Dies before or after the n-th call of a function; ``None`` is each call."""

    where: str
    when: str = "before"
    nth: int | None = 1

    def install(self, act=die):
        module, _, name = self.where.partition(":")
        owner = importlib.import_module(module)
        *path, attribute = name.split(".")
        for one in path:
            owner = getattr(owner, one)
        real, calls = getattr(owner, attribute), count(1)

        def wrapped(*arguments, **named):
            mine = self.nth in {None, next(calls)}
            if mine and self.when == "before":
                act()
            answer = real(*arguments, **named)
            if mine and self.when == "after":
                act()
            return answer

        setattr(owner, attribute, wrapped)


@dataclass(frozen=True)
class Opened:
    """Dies inside of a ``with`` over a context manager function, once it is entered."""

    where: str

    def install(self, act=die):
        module, _, name = self.where.partition(":")
        owner = importlib.import_module(module)
        real = getattr(owner, name)

        @contextmanager
        def wrapped(*arguments, **named):
            with real(*arguments, **named) as entered:
                act()
                yield entered

        setattr(owner, name, wrapped)


@dataclass(frozen=True)
class Statement:
    """Dies before or after a statement whose text matches is sent to Postgres."""

    pattern: str
    when: str = "after"
    nth: int = 1

    def install(self, act=die):
        calls = count(1)

        def maybe(_connection, _cursor, statement, *_):
            if re.search(self.pattern, statement) and next(calls) == self.nth:
                act()

        event.listen(Engine, f"{self.when}_cursor_execute", maybe)


@dataclass(frozen=True)
class Commit:
    """Dies before or after the COMMIT of the first transaction that sent a matching statement."""

    pattern: str
    when: str

    def install(self, act=die):
        armed = set()
        real = DefaultDialect.do_commit

        def note(connection, _cursor, statement, *_):
            if re.search(self.pattern, statement):
                armed.add(id(connection.connection.dbapi_connection))

        def commit(dialect, dbapi_connection):
            plain = getattr(dbapi_connection, "dbapi_connection", dbapi_connection)
            mine = id(plain) in armed
            if mine and self.when == "before":
                act()
            real(dialect, dbapi_connection)
            if mine:
                act()

        event.listen(Engine, "before_cursor_execute", note)
        DefaultDialect.do_commit = commit


SYNC = "thirdsentry_pipeline.operations.sync_connection"
ASSET = "thirdsentry_pipeline.assets.evidence"
RUN_ROW = r"INSERT INTO warehouse\.connector_runs"
OBSERVATIONS = r"INSERT INTO warehouse\.evidence_observations"

BEFORE_COMMIT = {
    "before the run row": Statement(RUN_ROW, "before"),
    "after the run row": Statement(RUN_ROW),
    "before the run row commits": Commit(RUN_ROW, "before"),
    "after the run row commits": Commit(RUN_ROW, "after"),
    "before the credential opens": Call(f"{SYNC}:open_external_id"),
    "after the credential opens": Call(f"{SYNC}:open_external_id", "after"),
    "before the role is assumed": Call(f"{SYNC}:open_role_session"),
    "in the open role": Opened(f"{SYNC}:open_role_session"),
    **{
        f"before request {number}": Call(
            "thirdsentry_pipeline.aws.transport:Transport.send", "before", number
        )
        for number in (3, 8, 12)
    },
    "after everything is fetched": Call(f"{SYNC}:collect_account", "after"),
    "before evidence": Statement(r"INSERT INTO warehouse\.evidence ", "before"),
    "after evidence": Statement(r"INSERT INTO warehouse\.evidence "),
    "after observations": Statement(OBSERVATIONS),
    "after the state": Statement(r"insert into warehouse\.evidence_state"),
    "after the audit row": Statement(r"INSERT INTO warehouse\.audit_log"),
    "before the readings commit": Commit(OBSERVATIONS, "before"),
}
AFTER_COMMIT = {
    "after the readings commit": Commit(OBSERVATIONS, "after"),
    "before the first materialization": Call(f"{ASSET}:materialize_result"),
    "after the fourth materialization": Call(f"{ASSET}:materialize_result", "after", 4),
    "before the run is concluded": Call(f"{ASSET}:conclude"),
    "after the run is concluded": Call(f"{ASSET}:conclude", "after"),
}
SEND = "thirdsentry_pipeline.operations.alert_sinks:Webhook.send"
NEW_ALERT = r"(?i)insert into warehouse\.alerts"
OUTBOX = {
    "before the alert is stored": Statement(NEW_ALERT, "before"),
    "before the stored alert commits": Commit(NEW_ALERT, "before"),
    "after the stored alert commits": Commit(NEW_ALERT, "after"),
    "before the alert is sent": Call(SEND),
    "after the alert is sent": Call(SEND, "after"),
    "after the alert is marked": Call(
        "thirdsentry_pipeline.warehouse.alerts:mark_delivered", "after"
    ),
}
SCHEDULER = "dagster._scheduler.scheduler"
TICK = {
    "while the tick asks for its third run": Call(
        "thirdsentry_pipeline.automation.schedules:run_request", "before", 3
    ),
    "after the first run is created": Call(f"{SCHEDULER}:_create_scheduler_run", "after"),
    "after the second run is submitted": Call(f"{SCHEDULER}:_submit_run_request", "after", 2),
    "before the tick is over": Call(f"{SCHEDULER}:_ScheduleLaunchContext.update_state"),
}
RACE = {
    # Both have looked whether there is such a run, and neither has made one.
    "before each run is created": Call(f"{SCHEDULER}:_create_scheduler_run", nth=None),
    "before the run's step": Call(f"{SYNC}:open_role_session"),
}
"""Where two processes meet, beside the steps where one dies."""
STEPS = BEFORE_COMMIT | AFTER_COMMIT | OUTBOX | TICK | RACE
QUICK = {
    "before the run row commits",
    "after the run row commits",
    "after the credential opens",
    "in the open role",
    "before request 8",
    "after everything is fetched",
    "after evidence",
    "after the state",
    "before the readings commit",
    "after the readings commit",
    "before the run is concluded",
    "before the alert is sent",
    "after the alert is sent",
    "after the first run is created",
}
"""The steps of every test run; the others are for the long one."""


def parameters(steps, quick=QUICK):
    """The names of the steps, those that are not quick marked as long."""
    return [one if one in quick else pytest.param(one, marks=pytest.mark.long) for one in steps]


WRITES = (
    "after the run row",
    "before the run row commits",
    "after evidence",
    "after observations",
    "after the state",
    "after the audit row",
    "before the readings commit",
    "after the readings commit",
)


def keep_journal():
    """Let a victim say when Postgres has acknowledged its readings."""
    Commit(OBSERVATIONS, "after").install(lambda: os.write(1, b"acknowledged\n"))


def was_acknowledged(victim):
    return "acknowledged\n" in victim.said()
