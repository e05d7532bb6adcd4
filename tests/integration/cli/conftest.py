"""The command line on an installation with its own warehouse, Dagster database and sandbox."""

import json
from dataclasses import dataclass

import pytest
from psycopg import sql

from tests.dagster_fixtures import create
from tests.integration.operations.lab import lab
from thirdsentry_pipeline.cli.main import run
from thirdsentry_pipeline.settings import with_database

__all__ = ["lab"]


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def document(self):
        return json.loads(self.out)

    @property
    def sentence(self):
        assert self.out == ""
        assert self.err.count("\n") == 1, self.err
        return self.err


@pytest.fixture
def clean_database(covered_database):
    """As a warehouse is after its first command that shows coverage."""
    return covered_database


@pytest.fixture
def installation(lab, postgres_server, dagster_template, tmp_path, monkeypatch):
    """Settings in the environment, as an operator with an external Postgres has them."""
    name = f"{lab.database.name}_dagster"
    drop = sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
    postgres_server.execute(drop, create(name, dagster_template))
    monkeypatch.setenv("THIRDSENTRY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("THIRDSENTRY_DATABASE_URL", lab.database.pipeline_url)
    monkeypatch.setenv("THIRDSENTRY_SCHEDULER_DATABASE_URL", lab.database.scheduler_url)
    monkeypatch.setenv("THIRDSENTRY_TRANSFORM_DATABASE_URL", lab.database.transform_url)
    dagster_url = with_database(lab.database.dagster_url, name)
    monkeypatch.setenv("THIRDSENTRY_DAGSTER_DATABASE_URL", dagster_url)
    yield
    postgres_server.execute(drop)


@pytest.fixture
def thirdsentry(installation, capfd):
    def call(*arguments):
        capfd.readouterr()
        code = run(arguments)
        captured = capfd.readouterr()
        return Outcome(code, captured.out, captured.err)

    return call
