"""An installation with its own persistent Dagster instance, warehouse and sandbox."""

from dataclasses import dataclass

import pytest
from psycopg import sql

from tests.integration.operations.lab import Lab, lab
from thirdsentry_pipeline.automation.instance import persistent_instance
from thirdsentry_pipeline.settings import Settings, with_database

__all__ = ["installation", "lab"]

DAGSTER_DATABASE = "dagster_of_tests"


@dataclass
class Installation:
    lab: Lab
    settings: Settings

    def instance(self):
        return persistent_instance(self.settings)


@pytest.fixture
def installation(lab, postgres_server, tmp_path, monkeypatch, worker_name):
    """Settings in the environment, as every process of an installation has them."""
    name = f"{DAGSTER_DATABASE}_{worker_name}"
    drop = sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
    postgres_server.execute(
        drop,
        sql.SQL("create database {} owner thirdsentry_dagster").format(sql.Identifier(name)),
    )
    for role in ("scheduler", "transform"):
        variable = f"THIRDSENTRY_{role.upper()}_DATABASE_URL"
        monkeypatch.setenv(variable, lab.database.url(role))
    dagster_url = with_database(lab.database.dagster_url, name)
    monkeypatch.setenv("THIRDSENTRY_DAGSTER_DATABASE_URL", dagster_url)
    monkeypatch.setenv("THIRDSENTRY_DATABASE_URL", lab.database.pipeline_url)
    monkeypatch.setenv("THIRDSENTRY_HOME", str(tmp_path / "home"))
    yield Installation(lab, Settings.from_environment())
    postgres_server.execute(drop)


@pytest.fixture
def worker_name(request):
    return getattr(request.config, "workerinput", {}).get("workerid", "alone")
