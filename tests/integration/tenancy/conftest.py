"""The town, built once per test process: no attempt may change the victim, so none needs a new one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.databases import DatabaseServer, WarehouseDatabase
from tests.integration.dbt.dbt_command import DbtProject
from tests.integration.tenancy.town import Town, build_town

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def town(
    postgres_server: DatabaseServer,
    coverage_template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Town]:
    """Two organizations with rows in every table and the coverage views over them."""
    name = f"tenancy_{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}"
    database = WarehouseDatabase(postgres_server, name, coverage_template)
    database.reset()
    built = build_town(DbtProject(database, tmp_path_factory.mktemp("dbt")))
    yield built
    built.close()
    database.drop()
