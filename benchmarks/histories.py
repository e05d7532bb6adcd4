"""Installations with days of history behind them, each in a database of its own."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from benchmarks.accounts import sync
from benchmarks.lab import Lab, account_id, organization_id
from thirdsentry_pipeline.assets.dbt_runner import run_dbt
from thirdsentry_pipeline.operations.services import open_services
from thirdsentry_pipeline.settings import Role, Settings, with_database
from thirdsentry_pipeline.warehouse.database import engine_for
from thirdsentry_pipeline.warehouse.migrate import close_database, upgrade

if TYPE_CHECKING:
    from collections.abc import Iterator

TEMPLATE = "history_template"
BUILD = ["build", "--exclude-resource-type", "unit_test", "test"]
_ROLES: tuple[Role, ...] = ("scheduler", "transform", "dagster")

# What a collected organization holds, once for each day before today.
_HISTORY = """
    set session_replication_role = replica;
    update warehouse.organizations set created_at = now() - make_interval(days => {days} + 1);
    update warehouse.connections set connected_at = now() - make_interval(days => {days} + 1);
    insert into warehouse.connector_runs (
        organization_id, run_id, connection_id, account_id, partition_day, dagster_run_id, status,
        api_calls, started_at, finished_at
    ) select c.organization_id, md5(c.connection_id::text || d)::uuid, c.connection_id,
        c.account_id, current_date - d, md5(c.connection_id::text || d), 'succeeded', 46,
        now() - make_interval(days => d), now() - make_interval(days => d)
    from warehouse.connections c, generate_series(1, {days}) d;
    insert into warehouse.evidence_observations (
        organization_id, run_id, connection_id, evidence_type, read_status, evidence_id,
        observed_at
    ) select s.organization_id, md5(s.connection_id::text || d)::uuid, s.connection_id,
        s.evidence_type, 'ok', s.evidence_id, now() - make_interval(days => d)
    from warehouse.evidence_state s, generate_series(1, {days}) d;
    set session_replication_role = origin;
"""
_AUDIT = """
    select set_config('app.organization_id', {organization}, false);
    insert into warehouse.audit_log (
        organization_id, actor, action, connection_id, run_id, detail
    ) select a.organization_id, a.actor, a.action, a.connection_id, md5(d::text)::uuid, a.detail
    from warehouse.audit_log a, generate_series(1, {days}) d
    where a.organization_id = {organization} and a.action = 'sync';
"""


@dataclass(frozen=True)
class Size:
    """How large an installation is; ``findings`` are GuardDuty's, per detector."""

    organizations: int
    users: int
    findings: int
    days: int

    @property
    def ids(self) -> list[str]:
        """The organizations."""
        return [organization_id(number + 1) for number in range(self.organizations)]


def make_template(lab: Lab) -> None:
    """A migrated database with the coverage models and nothing in it."""
    url = database_url(lab, "admin", TEMPLATE)
    server(lab, sql.SQL("create database {}").format(sql.Identifier(TEMPLATE)))
    upgrade(url)
    run_dbt(in_database(lab, TEMPLATE), BUILD)


@contextmanager
def installation(lab: Lab, name: str, size: Size) -> Iterator[Lab]:
    """An installation of that size, collected today and on each day before."""
    database = sql.Identifier(name)
    server(
        lab,
        sql.SQL("create database {} template {}").format(database, sql.Identifier(TEMPLATE)),
    )
    settings = in_database(lab, name)
    try:
        # A copy made from a template lacks the grants on the database itself.
        engine = engine_for(database_url(lab, "admin", name), pool=False)
        with engine.begin() as connection:
            close_database(connection)
        with open_services(settings) as services:
            own = Lab(settings, lab.stub, services)
            own.stub.configure(latency_ms=0, users=size.users, findings=size.findings)
            for number, one in enumerate(size.ids):
                own.connect(one, [account_id(number + 1)])
                sync(own, one)
            _add_history(own, size)
            yield own
    finally:
        server(lab, sql.SQL("drop database {} with (force)").format(database))


def _add_history(lab: Lab, size: Size) -> None:
    with psycopg.connect(lab.settings.login_url("admin"), autocommit=True) as admin:
        _run(admin, sql.SQL(_HISTORY).format(days=sql.Literal(size.days)))
        for one in size.ids:
            audit = sql.SQL(_AUDIT)
            _run(admin, audit.format(days=sql.Literal(size.days), organization=sql.Literal(one)))
        admin.execute("vacuum analyze")


def _run(admin: psycopg.Connection, statement: sql.Composed) -> None:
    # Several statements at once travel only without parameters and unprepared.
    admin.execute(statement.as_string(admin).encode())


def server(lab: Lab, statement: sql.Composed) -> None:
    """Run a statement on the server, outside of a transaction."""
    with psycopg.connect(database_url(lab, "admin", "postgres"), autocommit=True) as admin:
        admin.execute(statement)


def database_url(lab: Lab, role: Role, name: str) -> str:
    """A login's URL to one of the server's databases."""
    return with_database(lab.settings.login_url(role), name)


def in_database(lab: Lab, name: str) -> Settings:
    """The lab's settings on another database of its server."""
    return replace(
        lab.settings,
        database_url=database_url(lab, "pipeline", name),
        admin_database_url=database_url(lab, "admin", name),
        login_urls={
            role: database_url(lab, role, name)
            if role != "dagster"
            else lab.settings.login_url(role)
            for role in _ROLES
        },
    )
