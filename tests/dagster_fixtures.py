"""An installation with its own persistent Dagster instance, warehouse and sandbox."""

from dataclasses import dataclass

import pytest
from filelock import FileLock
from psycopg import sql

from tests.faults.victims import Zygote
from tests.integration.operations.lab import Lab
from thirdsentry_pipeline.automation.instance import persistent_instance
from thirdsentry_pipeline.settings import Settings, with_database


@dataclass
class Installation:
    lab: Lab
    settings: Settings

    def instance(self):
        return persistent_instance(self.settings)


@pytest.fixture(scope="session")
def zygote(tmp_path_factory):
    """The warm process that runs of a process of their own are forked from."""
    process = Zygote(tmp_path_factory.mktemp("victims"))
    yield process
    process.close()


@pytest.fixture(scope="session")
def dagster_template(postgres_server, tmp_path_factory):
    """A database with Dagster's tables, made once for all workers and cloned for each test."""
    name = "dagster_template"
    done = postgres_server.home / f"{name}.done"
    with FileLock(done.with_suffix(".lock")):
        if not done.exists():
            home = tmp_path_factory.mktemp("dagster-template")
            make_dagster_template(postgres_server, name, home)
            done.touch()
    return name


def make_dagster_template(server, name, home):
    url = with_database(server.settings.login_url("dagster"), name)
    server.execute(create(name))
    settings = Settings(home=home, database_url=url, login_urls={"dagster": url})
    with persistent_instance(settings) as instance:
        assert instance.get_runs() == []


def create(name, template="template1"):
    return sql.SQL("create database {} owner thirdsentry_dagster template {}").format(
        sql.Identifier(name), sql.Identifier(template)
    )


@pytest.fixture
def installation(lab, postgres_server, dagster_template, tmp_path, monkeypatch):
    """Settings in the environment, as every process of an installation has them."""
    name = f"{lab.database.name}_dagster"
    drop = sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
    postgres_server.execute(drop, create(name, dagster_template))
    for role in ("scheduler", "transform"):
        variable = f"THIRDSENTRY_{role.upper()}_DATABASE_URL"
        monkeypatch.setenv(variable, lab.database.url(role))
    dagster_url = with_database(lab.database.dagster_url, name)
    monkeypatch.setenv("THIRDSENTRY_DAGSTER_DATABASE_URL", dagster_url)
    monkeypatch.setenv("THIRDSENTRY_DATABASE_URL", lab.database.pipeline_url)
    monkeypatch.setenv("THIRDSENTRY_HOME", str(tmp_path / "home"))
    yield Installation(lab, Settings.from_environment())
    postgres_server.execute(drop)
