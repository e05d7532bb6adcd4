"""A warehouse as an older release left it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING
from uuid import uuid4

from alembic import command
from psycopg import sql

from thirdsentry_pipeline.warehouse import migrate
from thirdsentry_pipeline.warehouse.database import engine_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.databases import DatabaseServer


@contextmanager
def database_at(server: DatabaseServer, revision: str) -> Iterator[str]:
    """A database of its own, migrated as far as ``revision``; its administrator's URL."""
    name = f"older_{uuid4().hex[:8]}"
    server.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    url = server.url("admin", name)
    try:
        with engine_for(url, pool=False).connect() as connection:
            config = migrate._config()
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
        yield url
    finally:
        server.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))
