"""The commands on the warehouse in which dbt has run, and organizations of a test's own."""

import json
from dataclasses import dataclass

import pytest

from tests.integration.dbt.conftest import admin, tenant
from thirdsentry_pipeline.cli.main import run
from thirdsentry_pipeline.warehouse.database import engine_for

__all__ = ["admin", "tenant"]


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def document(self):
        return json.loads(self.out)


@pytest.fixture
def pipeline(coverage_project):
    """The pipeline's login on the built warehouse."""
    engine = engine_for(coverage_project.database.pipeline_url)
    yield engine
    engine.dispose()


@pytest.fixture
def thirdsentry(coverage_project, tmp_path, monkeypatch, capfd):
    """The command line of an operator with an external Postgres."""
    database = coverage_project.database
    monkeypatch.setenv("THIRDSENTRY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("THIRDSENTRY_DATABASE_URL", database.pipeline_url)
    monkeypatch.setenv("THIRDSENTRY_SCHEDULER_DATABASE_URL", database.scheduler_url)
    monkeypatch.setenv("THIRDSENTRY_TRANSFORM_DATABASE_URL", database.transform_url)
    monkeypatch.setenv("THIRDSENTRY_DAGSTER_DATABASE_URL", database.dagster_url)

    def call(*arguments):
        capfd.readouterr()
        code = run([str(argument) for argument in arguments])
        captured = capfd.readouterr()
        return Outcome(code, captured.out, captured.err)

    return call
