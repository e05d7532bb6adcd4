"""The catalogue check finds every wall that was taken down by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from thirdsentry_pipeline.warehouse.catalogue import broken_rules, find_problems
from thirdsentry_pipeline.warehouse.tables import metadata

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from tests.databases import WarehouseDatabase

pytestmark = pytest.mark.integration

TABLES = """
    select oid::regclass::text from pg_class
    where relnamespace = 'warehouse'::regnamespace and relkind = 'r' and relname <> 'schema_revision'
"""
TENANT_TABLES = f"{TABLES} and relname <> 'identity_secret'"

# What a hand could do; each query lists its statements for all objects of a kind.
SABOTAGE = {
    "disable row security": f"select 'alter table ' || t || ' disable row level security' from ({TENANT_TABLES}) as x (t)",
    "spare the owner": f"select 'alter table ' || t || ' no force row level security' from ({TENANT_TABLES}) as x (t)",
    "drop a policy": "select format('drop policy %I on %s', polname, polrelid::regclass) from pg_policy where polrelid::regclass::text like 'warehouse.%'",
    "open a policy": "select format('alter policy %I on %s using (true or organization_id is null)', polname, polrelid::regclass) from pg_policy where polcmd in ('r', '*') and polrelid::regclass::text like 'warehouse.%'",
    "widen a policy": "select format('alter policy %I on %s to public', polname, polrelid::regclass) from pg_policy where polrelid::regclass::text like 'warehouse.%'",
    "drop a trigger": "select format('drop trigger %I on %s', tgname, tgrelid::regclass) from pg_trigger where not tgisinternal and tgrelid::regclass::text like 'warehouse.%'",
    "disable a trigger": "select format('alter table %s disable trigger %I', tgrelid::regclass, tgname) from pg_trigger where not tgisinternal and tgrelid::regclass::text like 'warehouse.%'",
    "fire a trigger at the origin only": "select format('alter table %s enable trigger %I', tgrelid::regclass, tgname) from pg_trigger where not tgisinternal and tgrelid::regclass::text like 'warehouse.%'",
    "drop a constraint": "select format('alter table %s drop constraint %I cascade', conrelid::regclass, conname) from pg_constraint where contype in ('p', 'u', 'f', 'c') and conrelid::regclass::text like 'warehouse.%' and conrelid <> 'warehouse.schema_revision'::regclass",
    "drop a unique index": "select format('drop index %s', indexrelid::regclass) from pg_index where indisunique and indrelid::regclass::text like 'warehouse.%' and not exists (select from pg_constraint where conindid = indexrelid)",
    "lead a function astray": "select format('alter function %s reset search_path', oid::regprocedure) from pg_proc where pronamespace = 'warehouse'::regnamespace",
    "put pg_temp first": "select format('alter function %s set search_path = pg_temp, warehouse, pg_catalog', oid::regprocedure) from pg_proc where pronamespace = 'warehouse'::regnamespace and prosecdef",
    "change who a function runs as": "select format('alter function %s security %s', oid::regprocedure, case when prosecdef then 'invoker' else 'definer' end) from pg_proc where pronamespace = 'warehouse'::regnamespace",
    "give a function to the superuser": "select format('alter function %s owner to current_user', oid::regprocedure) from pg_proc where pronamespace = 'warehouse'::regnamespace",
    "let everyone execute": "select format('grant execute on function %s to public', oid::regprocedure) from pg_proc where pronamespace = 'warehouse'::regnamespace",
    "let readers write": f"select 'grant update, delete on ' || t || ' to ts_bi' from ({TABLES}) as x (t)",
    "let the scheduler read": f"select 'grant select on ' || t || ' to ts_scheduler' from ({TABLES}) as x (t)",
    "take a table over": f"select 'alter table ' || t || ' owner to ts_pipeline' from ({TABLES}) as x (t)",
    "show row estimates": f"select 'alter table ' || t || ' alter column organization_id set statistics 100' from ({TENANT_TABLES}) as x (t)",
}  # fmt: skip

ONE_BY_ONE = [
    "grant select (credential_blob) on warehouse.connections to ts_transform",
    "grant select (credential_blob) on warehouse.connections to ts_bi",
    "grant insert (observed_at) on warehouse.evidence_observations to ts_pipeline",
    "grant insert (row_hash) on warehouse.audit_log to ts_pipeline",
    "alter role ts_pipeline bypassrls",
    "alter role ts_transform createrole",
    "alter role ts_bi login",
    "grant ts_owner to ts_pipeline",
    "grant ts_retention to thirdsentry_pipeline",
    "grant ts_pipeline to ts_bi",
    "grant create on schema warehouse to ts_pipeline",
    "grant usage on schema warehouse to public",
    "create table warehouse.extra (organization_id text)",
    "create table coverage.extra (organization_id text)",
    "create view coverage.leak as select * from warehouse.evidence",
    "create materialized view coverage.leak as select * from warehouse.evidence",
    (
        "create function warehouse.leak() returns bigint language sql security definer"
        " as 'select count(*) from warehouse.evidence'"
    ),
    "create policy more on warehouse.evidence for select to ts_bi using (true)",
    "alter table warehouse.evidence add column note text",
    (
        "create or replace function warehouse.reader_organization_id() returns text language sql"
        " stable security definer set search_path = warehouse, pg_catalog, pg_temp"
        " as $$ select nullif(current_setting('app.organization_id', true), '') $$"
    ),
]


@pytest.fixture(scope="module")
def admin(database: WarehouseDatabase) -> Engine:
    """The superuser in a fresh database that these tests leave as it was."""
    if database.is_used:
        database.reset()
    return database.engine("admin")


def test_the_migrations_leave_nothing_to_complain_about(admin: Engine) -> None:
    with admin.connect() as c:
        assert find_problems(c) == []


def test_the_pipeline_can_check_too(admin: Engine, database: WarehouseDatabase) -> None:
    with database.engine("pipeline").connect() as c:
        assert find_problems(c) == []


@pytest.mark.parametrize("kind", SABOTAGE)
def test_every_wall_taken_down_by_hand_is_found(admin: Engine, kind: str) -> None:
    with admin.connect() as c:
        c.execution_options(no_parameters=True)
        statements = list(c.exec_driver_sql(SABOTAGE[kind]).scalars())
        assert statements, "there must be something to take down"
        unnoticed = []
        for statement in statements:
            c.exec_driver_sql(statement)
            if not find_problems(c):
                unnoticed.append(statement)
            c.rollback()
    assert unnoticed == []


@pytest.mark.parametrize("statement", ONE_BY_ONE)
def test_every_other_opening_is_found(admin: Engine, statement: str) -> None:
    with admin.connect() as c:
        c.execution_options(no_parameters=True).exec_driver_sql(statement)
        assert find_problems(c)


@pytest.mark.parametrize(
    "statement",
    [
        "create table warehouse.extra (organization_id text primary key)",
        "create table coverage.extra (organization_id text)",
        "create view coverage.leak as select * from warehouse.evidence",
        "create materialized view coverage.leak as select * from warehouse.evidence",
        "create function warehouse.leak() returns int language sql security definer as 'select 1'",
        "create function public.leak() returns int language sql security definer as 'select 1'",
        "alter table warehouse.alerts add unique (episode_key)",
        (
            "alter table warehouse.connector_runs add foreign key (connection_id)"
            " references warehouse.other (connection_id)"
        ),
        "alter table warehouse.evidence disable trigger append_only",
        "grant ts_owner to thirdsentry_pipeline",
        "grant ts_checker to thirdsentry_pipeline",
    ],
)
def test_the_rules_hold_for_what_no_list_knows(admin: Engine, statement: str) -> None:
    with admin.connect() as c:
        c.execute(text("create table warehouse.other (connection_id uuid primary key)"))
        before = broken_rules(c)
        c.execute(text(statement))
        assert len(broken_rules(c)) > len(before)


def test_tables_in_python_are_tables_in_the_database(admin: Engine) -> None:
    with admin.connect() as c:
        rows = c.execute(
            text(
                "select table_name, column_name from information_schema.columns"
                " where table_schema = 'warehouse'"
            )
        )
        found = {(row.table_name, row.column_name) for row in rows}
    ours = {(table.name, column.name) for table in metadata.tables.values() for column in table.c}
    assert ours <= found
    known = {table.name for table in metadata.tables.values()}
    assert {pair for pair in found - ours if pair[0] in known} == set()
