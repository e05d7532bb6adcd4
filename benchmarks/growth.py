"""What a day costs, and what it costs when there is twice as much of something."""

from __future__ import annotations

import gc
import resource
import statistics
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import psutil
import psycopg

from benchmarks.accounts import sync
from benchmarks.histories import BUILD, Size, installation, make_template
from benchmarks.rows import Row
from thirdsentry_pipeline.assets.dbt_runner import run_dbt
from thirdsentry_pipeline.operations.alerts import evaluate_alerts
from thirdsentry_pipeline.operations.audit import verify_organization
from thirdsentry_pipeline.operations.freshness import evidence_findings
from thirdsentry_pipeline.operations.retention import prune_organizations
from thirdsentry_pipeline.operations.sweeping import sweep_organizations

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.lab import Lab

# Short steps on a busy machine differ by that much between two runs of the very same size.
NOISE = 0.15
MOST = 2.0
REACH = f"≤ {MOST:.0f} (+ {NOISE:.0%} noise)"
_ENDED_SECONDS, _POLL_SECONDS = 30.0, 0.005
_SMALL = Size(organizations=8, users=100, findings=20, days=30)
_LARGE = Size(organizations=25, users=500, findings=200, days=180)
_WAL = "select pg_current_wal_insert_lsn() - '0/0'::pg_lsn"
_ROWS = """
    select tup_inserted + tup_updated + tup_deleted
    from pg_stat_database where datname = current_database()
"""
_OTHERS = """
    select count(*) from pg_stat_activity
    where backend_type = 'client backend' and datname = current_database()
        and pid <> pg_backend_pid()
"""


@dataclass(frozen=True)
class Step:
    """One thing that a day asks for, how often, and how often to do it for a figure.

    CPU is counted in hundredths of a second, so what takes less is done several times over.
    """

    name: str
    times_a_day: int
    work: Callable[[Lab, Size], int]
    together: int = 1


@dataclass(frozen=True)
class Cost:
    """Of one time: CPU seconds of our processes and of the database's sessions, and counts.

    Seconds of CPU and not of waiting: what else runs on the machine changes them little.
    """

    cpu: float
    database: float
    rows: float
    wal: float
    calls: float

    @property
    def seconds(self) -> float:
        """Ours and the database's together."""
        return self.cpu + self.database


def _sync(lab: Lab, size: Size) -> int:
    return sum(sync(lab, one) for one in size.ids)


def _alerts(lab: Lab, _: Size) -> int:
    done = evaluate_alerts(lab.services.pipeline, lab.services.scheduler, [])
    if done.errors:
        raise RuntimeError(str(done.errors[0]))
    return 0


def _checks(lab: Lab, _: Size) -> int:
    evidence_findings(lab.services.pipeline, lab.services.scheduler)
    return 0


def _sweep(lab: Lab, _: Size) -> int:
    sweep_organizations(lab.services.pipeline, lab.services.scheduler)
    return 0


def _verify(lab: Lab, size: Size) -> int:
    for one in size.ids:
        if not verify_organization(lab.services.pipeline, one, None).chain.is_intact:
            raise RuntimeError(one)
    return 0


def _prune(lab: Lab, size: Size) -> int:
    prune_organizations(lab.services.pipeline, size.ids)
    return 0


def _history(lab: Lab, _: Size) -> int:
    run_dbt(lab.settings, [*BUILD, "--select", "coverage_daily"])
    return 0


STEPS = (
    Step("sync of every organization", 1, _sync),
    Step("coverage history (dbt, its start included)", 1, _history),
    Step("verifying every audit log", 1, _verify, together=5),
    Step("retention", 1, _prune, together=5),
    Step("checks", 24, _checks, together=10),
    Step("sweep of dead runs", 144, _sweep, together=20),
    Step("evaluation of alerts", 1440, _alerts, together=10),
)


def growth(lab: Lab, *, full: bool) -> list[Row]:
    """The base and its four doublings, step by step and as a day."""
    base, repetitions = (_LARGE, 5) if full else (_SMALL, 3)
    make_template(lab)
    sizes = {
        "organizations": replace(base, organizations=2 * base.organizations),
        "users": replace(base, users=2 * base.users),
        "findings": replace(base, findings=2 * base.findings),
        "days of history": replace(base, days=2 * base.days),
    }
    first = _measure(lab, "history_base", base, repetitions)
    doubled = {
        what: _measure(lab, f"history_{number}", size, repetitions)
        for number, (what, size) in enumerate(sizes.items())
    }
    rows = [_step_row(step, first, doubled) for step in STEPS]
    whole = _day(first)
    for what, costs in doubled.items():
        ratio = _day(costs) / whole
        rows.append(
            Row(
                f"a day with twice the {what}, beside {base}",
                f"{ratio:.2f} times ({_day(costs):.1f} of {whole:.1f} s)",
                REACH,
                ratio <= MOST * (1 + NOISE),
            )
        )
    return [*rows, *_size_rows(first, base)]


def _step_row(step: Step, first: dict[str, Cost], doubled: dict[str, dict[str, Cost]]) -> Row:
    own = first[step.name]
    ratios = ", ".join(
        f"{costs[step.name].seconds / own.seconds:.2f} for {what}"
        for what, costs in doubled.items()
    )
    worst = max(costs[step.name].seconds / own.seconds for costs in doubled.values())
    return Row(
        f"{step.name}, {step.times_a_day} a day: cost when doubled",
        f"{ratios} (once: {own.cpu:.3f} s CPU, {own.database:.3f} s in the database, "
        f"{own.rows:.0f} rows, {own.calls:.0f} calls)",
        REACH,
        worst <= MOST * (1 + NOISE),
    )


def _size_rows(first: dict[str, Cost], base: Size) -> list[Row]:
    own = first[STEPS[0].name]
    return [
        Row(
            "rows and WAL written by one organization's sync, nothing changed in the account",
            f"{own.rows / base.organizations:.0f} rows, "
            f"{own.wal / base.organizations / 1024:.1f} KiB of WAL",
        )
    ]


def _day(costs: dict[str, Cost]) -> float:
    return sum(costs[step.name].seconds * step.times_a_day for step in STEPS)


def _measure(lab: Lab, name: str, size: Size, repetitions: int) -> dict[str, Cost]:
    with installation(lab, name, size) as own:
        # All days before today, which is not part of a day's cost.
        _history(own, size)
        return {step.name: _cost(own, size, step, repetitions) for step in STEPS}


def _cost(lab: Lab, size: Size, step: Step, repetitions: int) -> Cost:
    times = 1 if step.work is _history else repetitions
    found = [_once(lab, size, step) for _ in range(times)]
    return Cost(
        *(
            statistics.median(getattr(one, name) for one in found)
            for name in ("cpu", "database", "rows", "wal", "calls")
        )
    )


def _once(lab: Lab, size: Size, step: Step) -> Cost:
    # What the installations before left is not looked through in this one's time.
    gc.collect()
    gc.freeze()
    with psycopg.connect(lab.settings.login_url("admin"), autocommit=True) as admin:
        before = _activity(lab, admin)
        cpu = _cpu()
        for _ in range(step.together):
            calls = step.work(lab, size)
        cpu = _cpu() - cpu
        after = _activity(lab, admin)
    database, rows, wal = (
        (new - old) / step.together for new, old in zip(after, before, strict=True)
    )
    return Cost(cpu / step.together, database, rows, wal, calls)


def _activity(lab: Lab, admin: psycopg.Connection) -> tuple[float, int, int]:
    """CPU seconds of the sessions that have ended, rows changed, and bytes of WAL."""
    # A session's rows and its CPU are counted when it ends, a moment after it was closed.
    lab.services.pipeline.dispose()
    lab.services.scheduler.dispose()
    give_up = time.monotonic() + _ENDED_SECONDS
    while _number(admin, _OTHERS):
        if time.monotonic() > give_up:
            message = "sessions of the benchmark's own are still open"
            raise RuntimeError(message)
        time.sleep(_POLL_SECONDS)
    admin.execute("select pg_stat_clear_snapshot()")
    server = psutil.Process(admin.info.backend_pid).parent()
    if server is None:
        message = "the server of the benchmark is gone"
        raise RuntimeError(message)
    ended = server.cpu_times()
    return (
        ended.children_user + ended.children_system,
        _number(admin, _ROWS),
        _number(admin, _WAL),
    )


def _number(admin: psycopg.Connection, query: str) -> int:
    found = admin.execute(query).fetchone()
    if found is None:
        message = "Postgres tells nothing of its own activity"
        raise RuntimeError(message)
    return int(found[0])


def _cpu() -> float:
    """CPU seconds of this process and of children that have ended."""
    return sum(
        used.ru_utime + used.ru_stime
        for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )
