"""Connector runs: one row per attempt to read one connection."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psutil
from sqlalchemy import func, insert, select, update

from thirdsentry_pipeline.domain.errors import RunFailedError
from thirdsentry_pipeline.domain.evidence import ErrorCode
from thirdsentry_pipeline.warehouse import audit
from thirdsentry_pipeline.warehouse.connections import lock_connection
from thirdsentry_pipeline.warehouse.tables import connector_runs

if TYPE_CHECKING:
    from datetime import date, datetime
    from uuid import UUID

    from sqlalchemy import Connection as DatabaseConnection
    from sqlalchemy import Row

OVERDUE = timedelta(minutes=30)
"""A run that still says ``running`` after this long has lost its process."""


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run as the warehouse keeps it; times in UTC."""

    organization_id: str
    run_id: UUID
    connection_id: UUID
    partition_day: date
    dagster_run_id: str
    status: str
    error_code: str | None
    api_calls: int
    throttles: int
    started_at: datetime
    finished_at: datetime | None


_READ = tuple(connector_runs.c[name] for name in RunRow.__slots__)


def _run(row: Row[Any]) -> RunRow:
    return RunRow(**row._mapping)  # noqa: SLF001 - SQLAlchemy's own name for a row as a mapping


def this_worker() -> str:
    """The process that reads: host, process id and start, so that a reused id is told apart."""
    process = psutil.Process()
    return f"{socket.gethostname()}:{process.pid}:{process.create_time():.2f}"


def worker_is_gone(worker: str) -> bool:
    """Whether a worker of this host has ended; of another host we can't know."""
    host, _, process = worker.rpartition(":")[0].rpartition(":")
    if host != socket.gethostname() or not process.isdigit():
        return False
    try:
        found = psutil.Process(int(process))
        if found.status() == psutil.STATUS_ZOMBIE:
            return True
        return f"{found.create_time():.2f}" != worker.rpartition(":")[2]
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied:
        return False


def start_run(
    c: DatabaseConnection,
    *,
    run_id: UUID,
    connection_id: UUID,
    partition_day: date,
    dagster_run_id: str,
    overdue: timedelta = OVERDUE,
) -> None:
    """Open a run, and abandon the connection's earlier ones whose process has ended.

    Raises:
        InputError: there is no such connection.
        RunFailedError: ``revoked_during_run`` when it is revoked.
    """
    connection = lock_connection(c, connection_id)
    if connection.deleted_at is not None:
        raise RunFailedError(
            ErrorCode.REVOKED_DURING_RUN, f"Connection {connection_id} is revoked."
        )
    _abandon(c, overdue, connection_id)
    c.execute(
        insert(connector_runs)
        .inline()
        .values(
            run_id=run_id,
            connection_id=connection_id,
            account_id=connection.account_id,
            partition_day=partition_day,
            dagster_run_id=dagster_run_id,
            worker=this_worker(),
        )
    )


def fail_run(
    c: DatabaseConnection,
    run_id: UUID,
    error_code: ErrorCode,
    api_calls: int = 0,
    *,
    throttles: int = 0,
) -> bool:
    """End a run that brought nothing, with its audit row; false when it had ended already."""
    connection_id = c.scalar(
        select(connector_runs.c.connection_id).where(connector_runs.c.run_id == run_id)
    )
    if connection_id is None:
        return False
    lock_connection(c, connection_id)
    return _end(
        c, run_id, "failed", error_code=error_code, api_calls=api_calls, throttles=throttles
    )


def _end(
    c: DatabaseConnection, run_id: UUID, status: str, *, error_code: ErrorCode, **counts: int
) -> bool:
    ended = c.execute(
        update(connector_runs)
        .where(connector_runs.c.run_id == run_id, connector_runs.c.status == "running")
        .values(status=status, error_code=error_code, finished_at=func.clock_timestamp(), **counts)
        .returning(connector_runs.c.connection_id, connector_runs.c.dagster_run_id)
    ).one_or_none()
    if ended is None:
        return False
    audit.append(
        c,
        "sync_failed",
        connection_id=ended.connection_id,
        run_id=run_id,
        detail={
            "status": status,
            "error_code": error_code,
            "dagster_run_id": ended.dagster_run_id,
            **counts,
        },
    )
    return True


def runs_of_dagster_run(c: DatabaseConnection, dagster_run_id: str) -> list[RunRow]:
    """The organization's runs that one Dagster run opened, oldest first."""
    query = (
        select(*_READ)
        .where(connector_runs.c.dagster_run_id == dagster_run_id)
        .order_by(connector_runs.c.started_at, connector_runs.c.run_id)
    )
    return [_run(row) for row in c.execute(query)]


def sweep_abandoned(c: DatabaseConnection, older_than: timedelta = OVERDUE) -> list[UUID]:
    """Abandon the organization's runs whose process has ended, or that run for too long."""
    return _abandon(c, older_than, None)


def _abandon(
    c: DatabaseConnection, older_than: timedelta, connection_id: UUID | None
) -> list[UUID]:
    query = (
        select(
            connector_runs.c.run_id,
            connector_runs.c.connection_id,
            connector_runs.c.worker,
            (connector_runs.c.started_at < func.clock_timestamp() - older_than).label("is_overdue"),
        )
        .where(connector_runs.c.status == "running")
        .order_by(connector_runs.c.connection_id, connector_runs.c.started_at)
    )
    if connection_id is not None:
        query = query.where(connector_runs.c.connection_id == connection_id)
    dead = [row for row in c.execute(query) if row.is_overdue or worker_is_gone(row.worker)]
    # All connections first, then runs and audit rows: the order every writer keeps.
    for connection in sorted({row.connection_id for row in dead}):
        lock_connection(c, connection)
    return [
        row.run_id
        for row in dead
        if _end(c, row.run_id, "abandoned", error_code=ErrorCode.TRANSIENT)
    ]
