"""Migrations run once, whoever starts them, and roles are made once in a cluster."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TYPE_CHECKING
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from tests.integration.warehouse.older_database import database_at
from thirdsentry_pipeline.warehouse.migrate import current_revision, head_revision, upgrade

if TYPE_CHECKING:
    from tests.databases import WarehouseDatabase

pytestmark = pytest.mark.integration


def test_two_migrations_at_once_end_at_the_head(clean_database: WarehouseDatabase) -> None:
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        list(pool.map(upgrade, [clean_database.admin_url] * 2))
    assert current_revision(clean_database.pipeline_url) == head_revision()


def test_a_database_without_a_warehouse_has_no_revision(clean_database: WarehouseDatabase) -> None:
    url = clean_database.server.url("admin", "postgres")
    assert current_revision(url) is None


def test_migrating_empty_databases_at_once_makes_the_roles_once(
    clean_database: WarehouseDatabase,
) -> None:
    names = [f"fresh_{uuid4().hex[:8]}" for _ in range(2)]
    server = clean_database.server

    for name in names:
        server.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    try:
        with ProcessPoolExecutor(2, get_context("spawn")) as pool:
            list(pool.map(upgrade, [server.url("admin", name) for name in names]))
        for name in names:
            assert current_revision(server.url("admin", name)) == head_revision()
    finally:
        for name in names:
            server.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


FILL = """
    insert into warehouse.organizations (organization_id, name) values (repeat('a', 24), 'Acme');
    insert into warehouse.organization_data_keys (organization_id, key_version, kms_key_id,
      wrapped_key) values (repeat('a', 24), 1, 'k', '');
    insert into warehouse.connections (organization_id, connection_id, account_id, role_arn,
      credential_blob, key_version) values (repeat('a', 24), md5('c')::uuid, '111111111111',
      'arn:aws:iam::111111111111:role/x', '', 1);
    insert into warehouse.connector_runs (organization_id, run_id, connection_id, partition_day,
      dagster_run_id, status, finished_at)
    select repeat('a', 24), md5(id)::uuid, md5('c')::uuid, current_date, 'd', status, ended
    from (values ('r', 'failed', now()), ('s', 'running', null)) as runs (id, status, ended);
    insert into warehouse.evidence (organization_id, connection_id, account_id, evidence_type,
      subject, verdict, fingerprint, payload, payload_canonical, schema_version, first_run_id)
    select repeat('a', 24), md5('c')::uuid, '111111111111', 'aws.x', 'account', 'pass',
      'fp1:' || encode(sha256(convert_to(n::text, 'UTF8')), 'hex'), '{}', n::text, 1,
      md5('r')::uuid
    from generate_series(1, 100) as n;
    insert into warehouse.evidence_observations (organization_id, run_id, connection_id,
      evidence_type, read_status, error_code)
    values (repeat('a', 24), md5('r')::uuid, md5('c')::uuid, 'aws.x', 'denied', 'denied');
    insert into warehouse.evidence_state (organization_id, connection_id, evidence_type,
      last_attempt_at, last_attempt_status)
    values (repeat('a', 24), md5('c')::uuid, 'aws.x', now(), 'denied');
"""
FACTS = ("evidence", "evidence_observations", "evidence_state")
BELONG = "select count(*) from warehouse.connector_runs where account_id = '111111111111'"


def test_references_that_were_implied_hold_without_being_asked_for(
    clean_database: WarehouseDatabase,
) -> None:
    """From a filled database of the revision before: every row stays, none without its owner."""
    with (
        database_at(clean_database.server, "0005") as url,
        psycopg.connect(url, autocommit=True) as admin,
    ):
        admin.execute(FILL)
        before = [digest(admin, table) for table in FACTS]
        upgrade(url)
        assert [digest(admin, table) for table in FACTS] == before
        for table in FACTS:
            # Of an organization, and of a connection, that there is not.
            for column in ("organization_id", "connection_id"):
                with pytest.raises(psycopg.errors.ForeignKeyViolation):
                    admin.execute(astray(table, column))
        # Runs are of their connection's account, ended ones too, and evidence of its run's.
        assert admin.execute(BELONG).fetchone() == (2,)
        for table in ("connector_runs", "evidence"):
            with pytest.raises(psycopg.errors.ForeignKeyViolation):
                admin.execute(astray(table, "account_id"))


def digest(admin: psycopg.Connection, table: str) -> object:
    query = "select md5(string_agg(r::text, '|' order by r::text)), count(*) from warehouse.{} as r"
    return admin.execute(sql.SQL(query).format(sql.Identifier(table))).fetchone()


def astray(table: str, column: str) -> sql.Composed:
    """One of the rows again, under another key and with an owner that does not exist."""
    other = {
        "organization_id": "repeat('b', 24)",
        "connection_id": "gen_random_uuid()",
        "account_id": "'222222222222'",
    }[column]
    fields = {column: other}
    fields |= (
        {"run_id": "gen_random_uuid()"}
        if table == "connector_runs"
        else {"evidence_type": "'aws.y'"}
    )
    if table == "evidence":
        fields |= {"evidence_id": "gen_random_uuid()", "payload_canonical": "'x'"}
        fields["fingerprint"] = "'fp1:' || encode(sha256('x'), 'hex')"
    changed = sql.SQL(", ").join(
        sql.SQL("{} as {}").format(sql.SQL(value), sql.Identifier(key))
        for key, value in fields.items()
    )
    query = """
        insert into warehouse.{table} select (jsonb_populate_record(r, to_jsonb(c))).*
        from warehouse.{table} as r, (select {changed}) as c limit 1
    """
    return sql.SQL(query).format(table=sql.Identifier(table), changed=changed)
