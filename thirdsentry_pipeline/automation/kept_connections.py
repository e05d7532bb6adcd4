"""Dagster's Postgres storages on connections that are kept, for a process that works hard.

Dagster opens a connection for every statement, about a hundred per run, which costs the run and
the server more than the statements. The webserver keeps its own; a run's process can as well.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg
from dagster_postgres.event_log import PostgresEventLogStorage
from dagster_postgres.run_storage import PostgresRunStorage
from dagster_postgres.schedule_storage import PostgresScheduleStorage
from dagster_postgres.utils import create_pg_engine
from psycopg2 import Error
from sqlalchemy import Engine, QueuePool, event
from sqlalchemy.exc import DisconnectionError

POOL_SIZE = 2
OVERFLOW = 30
FRESH_SECONDS = 1.0
"""How long after its last use a connection is taken without asking the server: a question
before each statement would be a fifth of them all."""
POSTGRES_STORAGES = (PostgresRunStorage, PostgresEventLogStorage, PostgresScheduleStorage)


@contextmanager
def kept_connections(instance: dg.DagsterInstance) -> Iterator[dg.DagsterInstance]:
    """The instance with connections that are kept until the end of the block, and closed there."""
    engine = keep_connections(instance)
    try:
        yield instance
    finally:
        if engine is not None:
            engine.dispose()


def keep_connections(instance: dg.DagsterInstance) -> Engine | None:
    """Let the instance's storages share a pool; a connection that broke is replaced unseen.

    Returns the pool's engine, None when the instance keeps nothing in Postgres.
    """
    storages = [instance.run_storage, instance.event_log_storage, instance.schedule_storage]
    kept = [one for one in storages if isinstance(one, POSTGRES_STORAGES)]
    if not kept:
        return None
    first = kept[0]
    engine = create_pg_engine(
        first.postgres_url,
        first._token_provider,  # noqa: SLF001 - as the storage itself makes its engine
        isolation_level="AUTOCOMMIT",
        poolclass=QueuePool,
        pool_size=POOL_SIZE,
        max_overflow=OVERFLOW,
    )
    event.listen(engine, "checkin", _note_use)
    event.listen(engine, "checkout", _ask_when_stale)
    for storage in kept:
        if storage.postgres_url == first.postgres_url:
            storage._engine = engine  # noqa: SLF001 - what its optimize_for_webserver does
    return engine


def _note_use(_connection: Any, record: Any) -> None:
    record.info["used"] = time.monotonic()


def _ask_when_stale(connection: Any, record: Any, _proxy: Any) -> None:
    """Let the pool make a new connection in place of one that broke meanwhile."""
    used = record.info.get("used")
    if used is None or time.monotonic() - used < FRESH_SECONDS:
        return
    try:
        with connection.cursor() as cursor:
            cursor.execute("select 1")
    except Error as error:
        raise DisconnectionError from error
