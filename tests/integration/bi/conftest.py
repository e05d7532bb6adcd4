"""Two organizations with rows in every mart, and logins that ``bi grant`` made for them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.integration.bi.clients import CLIENTS, Client, connected
from tests.integration.dbt.coverage_rows import Tenant, hours_ago

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.databases import WarehouseDatabase
    from tests.integration.dbt.dbt_command import DbtProject

THIRDSENTRY = Path(sys.executable).with_name("thirdsentry")


@dataclass(frozen=True)
class Reader:
    """An organization and its granted login's URL."""

    organization_id: str
    url: str


@pytest.fixture(scope="session")
def thirdsentry(
    coverage_project: DbtProject, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., dict[str, Any]]:
    """The command as an operator runs it, on the database with the coverage schema."""
    database: WarehouseDatabase = coverage_project.database
    environment = {
        "PATH": os.environ["PATH"],
        "THIRDSENTRY_HOME": str(tmp_path_factory.mktemp("bi-home")),
        "THIRDSENTRY_DATABASE_URL": database.pipeline_url,
        "THIRDSENTRY_SCHEDULER_DATABASE_URL": database.scheduler_url,
        "THIRDSENTRY_TRANSFORM_DATABASE_URL": database.transform_url,
        "THIRDSENTRY_DAGSTER_DATABASE_URL": database.dagster_url,
    }

    def call(*arguments: str) -> dict[str, Any]:
        finished = subprocess.run(
            [THIRDSENTRY, *arguments, "--json"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert finished.returncode == 0, finished.stderr
        return json.loads(finished.stdout)

    return call


@pytest.fixture(scope="session")
def readers(
    coverage_project: DbtProject, thirdsentry: Callable[..., dict[str, Any]]
) -> Iterator[list[Reader]]:
    """Two organizations alike, and a login of each."""
    with psycopg.connect(coverage_project.database.admin_url, autocommit=True) as connection:
        tenants = [Tenant.add(connection, created_at=hours_ago(100)) for _ in range(2)]
        for tenant in tenants:
            tenant.fill_every_mart()
        # Days that other tests told already would be left as they are.
        connection.execute("delete from coverage.coverage_daily")
    coverage_project.succeed("run", "--select", "coverage_daily")
    granted = {}
    for tenant in tenants:
        asked = ("--organization", tenant.organization_id, "--login", f"bi_{token_hex(4)}")
        granted[tenant.organization_id] = thirdsentry("bi", "grant", *asked)
    yield [Reader(organization_id, one["url"]) for organization_id, one in granted.items()]
    for one in granted.values():
        thirdsentry("bi", "revoke", "--login", one["login"])


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest, readers: list[Reader]) -> Iterator[Client]:
    """Each client in turn, logged in as the first organization's reader."""
    with connected(request.param, readers[0].url) as opened:
        yield opened
