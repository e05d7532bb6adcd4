"""Coverage read as people read it: all organizations at once, and one through a BI login."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from benchmarks.copies import fill
from benchmarks.lab import organization_id
from benchmarks.rows import Row, seconds_of
from thirdsentry_pipeline.assets.dbt_runner import run_dbt
from thirdsentry_pipeline.warehouse.bi_logins import grant_login
from thirdsentry_pipeline.warehouse.scope import organization_scope

if TYPE_CHECKING:
    from typing import LiteralString

    from benchmarks.lab import Lab

_SEED = 800_000
_TYPES = 7
_ALL_SECONDS, _ONE_SECONDS = 0.020, 0.002
_ALL = "select * from coverage.organization_coverage"
_FRAMEWORKS = "select * from coverage.framework_coverage"


def coverage(lab: Lab, observations: int, repetitions: int) -> list[Row]:
    """All of 1,000 organizations as dbt's login, and one organization as its reader."""
    organizations = 1_000
    days = max(1, observations // (organizations * _TYPES))
    fill(lab, _SEED, organizations, days)
    run_dbt(lab.settings, ["build", "--exclude-resource-type", "unit_test", "test"])
    one = organization_id(_SEED + 1)
    with organization_scope(lab.services.pipeline, one) as database:
        granted = grant_login(database, "bi_benchmark", actor="benchmark")
    transform = lab.settings.login_url("transform")
    server = transform.rpartition("@")[2]
    reader = f"postgresql://bi_benchmark:{granted.password}@{server}"
    with (
        connect(transform) as everything,
        connect(reader) as bi,
        psycopg.connect(reader, autocommit=True, prepare_threshold=0) as prepared,
    ):
        whole = _asked(everything, _ALL, organizations, repetitions)
        single = _asked(bi, _ALL, 1, repetitions)
        # Postgres plans a prepared question anew for its first five uses.
        _asked(prepared, _ALL, 1, 5)
        again = _asked(prepared, _ALL, 1, repetitions)
        frameworks = _asked(everything, _FRAMEWORKS, organizations, repetitions)
    size = f"{organizations * _TYPES * days:,} observations of {organizations:,} organizations"
    return [
        Row(
            f"coverage of all organizations, planned anew and fetched; {size}",
            str(whole),
            f"≤ {_ALL_SECONDS * 1000:.0f} ms",
            whole.seconds <= _ALL_SECONDS,
        ),
        Row(
            f"coverage of one organization through its BI login, planned anew; {size}",
            str(single),
            f"≤ {_ONE_SECONDS * 1000:.0f} ms",
            single.seconds <= _ONE_SECONDS,
        ),
        Row("the same, prepared, as pooled readers ask", str(again)),
        Row(
            "coverage of every framework of all organizations, planned anew and fetched",
            str(frameworks),
        ),
    ]


def connect(url: str) -> psycopg.Connection:
    """A connection that plans every query anew, as one asked for the first time."""
    return psycopg.connect(url, autocommit=True, prepare_threshold=None)


@dataclass(frozen=True)
class _Asked:
    """Medians of one question: until its rows were fetched, and the server's CPU in it.

    The fastest tenth tells what it takes on a core that nobody else uses: where the machine is
    shared, the same work takes up to twice as long from one moment to the next.
    """

    seconds: float
    server_cpu_seconds: float
    fastest_tenth_seconds: float

    def __str__(self) -> str:
        return (
            f"{self.seconds * 1000:.1f} ms ({self.server_cpu_seconds * 1000:.1f} of CPU; "
            f"fastest tenth {self.fastest_tenth_seconds * 1000:.1f} ms)"
        )


def _asked(
    connection: psycopg.Connection, question: LiteralString, least: int, repetitions: int
) -> _Asked:
    seconds, server = [], []
    for _ in range(repetitions + 1):
        before = _cpu_seconds(connection)
        seconds.append(seconds_of(lambda: _rows(connection, question, least)))
        server.append(_cpu_seconds(connection) - before)
    # The first asks the catalogue too.
    return _Asked(
        statistics.median(seconds[1:]),
        statistics.median(server[1:]),
        statistics.quantiles(seconds[1:], n=10)[0],
    )


def _cpu_seconds(connection: psycopg.Connection) -> float:
    """CPU of the session's server process, which has just answered and is idle."""
    statistics_of = Path(f"/proc/{connection.info.backend_pid}/schedstat")
    return int(statistics_of.read_text().split()[0]) / 1e9


def _rows(connection: psycopg.Connection, question: LiteralString, least: int) -> None:
    found = connection.execute(question).fetchall()
    if len(found) < least:
        message = f"{question} shows {len(found)} rows, not {least}"
        raise RuntimeError(message)
