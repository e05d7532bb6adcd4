"""Dagster's Postgres storages on connections that are kept, for a process that works hard.

Dagster opens a connection for every statement, about a hundred per run, which costs the run and
the server more than the statements. The webserver keeps its own; a run's process can as well.
"""

import dagster as dg
from dagster_postgres.event_log import PostgresEventLogStorage
from dagster_postgres.run_storage import PostgresRunStorage
from dagster_postgres.schedule_storage import PostgresScheduleStorage
from dagster_postgres.utils import create_pg_engine
from sqlalchemy import QueuePool

POOL_SIZE = 2
OVERFLOW = 30
POSTGRES_STORAGES = (PostgresRunStorage, PostgresEventLogStorage, PostgresScheduleStorage)


def keep_connections(instance: dg.DagsterInstance) -> None:
    """Let the instance's storages share a pool; a connection that broke is replaced unseen."""
    storages = [instance.run_storage, instance.event_log_storage, instance.schedule_storage]
    kept = [one for one in storages if isinstance(one, POSTGRES_STORAGES)]
    if not kept:
        return
    first = kept[0]
    engine = create_pg_engine(
        first.postgres_url,
        first._token_provider,  # noqa: SLF001 - as the storage itself makes its engine
        isolation_level="AUTOCOMMIT",
        poolclass=QueuePool,
        pool_size=POOL_SIZE,
        max_overflow=OVERFLOW,
        pool_pre_ping=True,
    )
    for storage in kept:
        if storage.postgres_url == first.postgres_url:
            storage._engine = engine  # noqa: SLF001 - what its optimize_for_webserver does
