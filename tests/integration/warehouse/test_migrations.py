"""Migrations run once, whoever starts them, and roles are made once in a cluster."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from psycopg import sql

from thirdsentry_pipeline.warehouse.migrate import current_revision, head_revision, upgrade

if TYPE_CHECKING:
    from tests.databases import WarehouseDatabase

pytestmark = pytest.mark.integration


def test_two_migrations_at_once_end_at_the_head(clean_database: WarehouseDatabase) -> None:
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        list(pool.map(upgrade, [clean_database.admin_url] * 2))
    assert current_revision(clean_database.pipeline_url) == head_revision()


def test_a_database_without_a_warehouse_has_no_revision(clean_database: WarehouseDatabase) -> None:
    url = clean_database.server.url("admin", "postgres")
    assert current_revision(url) is None


def test_migrating_empty_databases_at_once_makes_the_roles_once(
    clean_database: WarehouseDatabase,
) -> None:
    names = [f"fresh_{uuid4().hex[:8]}" for _ in range(2)]
    server = clean_database.server

    for name in names:
        server.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    try:
        with ProcessPoolExecutor(2, get_context("spawn")) as pool:
            list(pool.map(upgrade, [server.url("admin", name) for name in names]))
        for name in names:
            assert current_revision(server.url("admin", name)) == head_revision()
    finally:
        for name in names:
            server.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))
