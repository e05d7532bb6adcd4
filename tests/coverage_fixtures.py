"""A database of this worker's own with the coverage schema built in it, shared by what reads it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock

from tests.databases import DatabaseServer, WarehouseDatabase
from tests.integration.dbt.dbt_command import DbtProject
from tests.warm_dbt import write_program
from thirdsentry_pipeline.assets import dbt_runner

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BUILT = "coverage_built"


@pytest.fixture(scope="session")
def coverage_template(
    postgres_server: DatabaseServer, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """The name of a database to clone: migrated, with the coverage schema, and empty.

    The whole project is built and tested by dbt, once for all workers.
    """
    done = postgres_server.home / f"{BUILT}.done"
    with FileLock(done.with_suffix(".lock")):
        if not done.exists():
            database = WarehouseDatabase(postgres_server, BUILT)
            database.reset()
            DbtProject(database, tmp_path_factory.mktemp("dbt")).succeed("build")
            database.dispose()
            done.touch()
    return BUILT


@pytest.fixture(scope="session")
def coverage_project(
    postgres_server: DatabaseServer,
    coverage_template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[DbtProject]:
    """The product's dbt project over a built database of this worker's own."""
    name = f"coverage_{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}"
    database = WarehouseDatabase(postgres_server, name, coverage_template)
    database.reset()
    yield DbtProject(database, tmp_path_factory.mktemp("dbt"))
    database.drop()


@pytest.fixture
def covered_database(
    postgres_server: DatabaseServer, coverage_template: str
) -> Iterator[WarehouseDatabase]:
    """A clean warehouse of this test's own, in which dbt has run."""
    name = f"covered_{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}"
    database = WarehouseDatabase(postgres_server, name, coverage_template)
    database.reset()
    yield database
    database.drop()


@pytest.fixture
def warm_dbt_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The product starts a dbt program that has the session's server do it; the demo's is dbt."""
    monkeypatch.setattr(dbt_runner, "DBT", write_program(tmp_path / "dbt"))
