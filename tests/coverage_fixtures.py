"""A database of this worker's own with the coverage schema built in it, shared by what reads it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.databases import DatabaseServer, WarehouseDatabase
from tests.integration.dbt.dbt_command import DbtProject

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def coverage_project(
    postgres_server: DatabaseServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DbtProject]:
    """The product's dbt project, built once in a database of this worker's own."""
    name = f"coverage_{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}"
    database = WarehouseDatabase(postgres_server, name)
    database.reset()
    project = DbtProject(database, tmp_path_factory.mktemp("dbt"))
    project.succeed("build")
    database.dispose()
    pristine = WarehouseDatabase(postgres_server, f"{name}_pristine", name)
    pristine.reset()
    pristine.dispose()
    yield project
    pristine.drop()
    database.drop()


@pytest.fixture(scope="session")
def coverage_template(coverage_project: DbtProject) -> str:
    """The name of a database to clone: migrated, with the coverage schema, and empty."""
    return f"{coverage_project.database.name}_pristine"
