"""One organization's rows are reachable inside its scope and nowhere else."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from tests.integration.warehouse.conftest import ACCOUNT, ok
from thirdsentry_pipeline.domain.errors import ConfigurationError, InputError
from thirdsentry_pipeline.warehouse import (
    alerts,
    assessments,
    audit,
    connections,
    data_keys,
    organizations,
)
from thirdsentry_pipeline.warehouse.scope import live_organization_ids, organization_scope

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from tests.databases import WarehouseDatabase
    from tests.integration.warehouse.conftest import Tenant

pytestmark = pytest.mark.integration

TENANT_TABLES = (
    "organizations", "organization_data_keys", "pending_external_ids", "connections",
    "connector_runs", "evidence", "evidence_observations", "evidence_state", "evidence_steps", "audit_log",
    "audit_heads", "assessments", "assessment_evidence", "alerts",
)  # fmt: skip

HOSTILE_SETTINGS = (
    None,
    "",
    " ",
    "%",
    "A" * 24,
    "a" * 23,
    "a" * 24 + " ",
    "' or '1'='1",
    "a%",
    "null",
    "{" + "a" * 24 + "," + "b" * 24 + "}",
    "\n" + "a" * 24,
)


def fill(tenant: Tenant) -> None:
    """Give the organization a row in every table."""
    evidence_id = tenant.sync(ok())[0].evidence_id
    assert evidence_id is not None
    with tenant.scope() as c:
        connections.put_pending_external_id(c, b"sealed", 1)
        assessment_id = assessments.create_assessment(c, "t", actor="a")
        assessments.attach(c, assessment_id, [evidence_id], actor="a")
        now = c.scalar(text("select now()"))
        alerts.open_alert(c, "stale", "x", connection_id=None, opened_at=now)


@pytest.fixture
def two(tenant: Tenant, other_tenant: Tenant) -> tuple[Tenant, Tenant]:
    """Two organizations with rows in every table."""
    fill(tenant)
    fill(other_tenant)
    return tenant, other_tenant


@pytest.mark.parametrize("table", TENANT_TABLES)
def test_a_scope_shows_its_own_rows(two: tuple[Tenant, Tenant], table: str) -> None:
    for tenant in two:
        found = tenant.rows(f"select distinct organization_id from warehouse.{table}")
        assert found == [(tenant.organization_id,)]


@pytest.mark.parametrize("setting", HOSTILE_SETTINGS, ids=repr)
def test_without_a_true_setting_there_are_no_rows(
    two: tuple[Tenant, Tenant], setting: str | None
) -> None:
    with two[0].engine.begin() as c:
        if setting is not None:
            c.execute(text("select set_config('app.organization_id', :s, true)"), {"s": setting})
        for table in TENANT_TABLES:
            assert c.scalar(text(f"select count(*) from warehouse.{table}")) == 0, table


def test_the_setting_ends_with_its_transaction(two: tuple[Tenant, Tenant]) -> None:
    tenant = two[0]
    with tenant.scope() as c:
        backend = c.scalar(text("select pg_backend_pid()"))
    with tenant.engine.begin() as c:
        assert c.scalar(text("select pg_backend_pid()")) == backend, "the same pooled connection"
        assert c.scalar(text("select count(*) from warehouse.organizations")) == 0


def test_a_forgotten_scope_is_an_error_for_writers(two: tuple[Tenant, Tenant]) -> None:
    with pytest.raises(DBAPIError, match="open an organization scope"), two[0].engine.begin() as c:
        audit.append(c, "connect", detail={})


@pytest.mark.parametrize("organization_id", ["", "a" * 23, "A" * 24, "' or true --", "a" * 25])
def test_a_malformed_id_opens_no_scope(tenant: Tenant, organization_id: str) -> None:
    with pytest.raises(InputError):
        organization_scope(tenant.engine, organization_id).__enter__()


def test_a_login_above_row_security_opens_no_scope(tenant: Tenant, admin: Engine) -> None:
    with pytest.raises(ConfigurationError, match="bypasses row-level security"):
        organization_scope(admin, tenant.organization_id).__enter__()


WRITES_FOR_OTHERS = {
    "organizations": "insert into warehouse.organizations (organization_id, name)"
    " values (repeat('c', 24), 'c')",
    "data key": "insert into warehouse.organization_data_keys (organization_id, key_version,"
    " kms_key_id, wrapped_key) values (:other, 9, 'k', 'w')",
    "connection": "insert into warehouse.connections (organization_id, connection_id, account_id,"
    " role_arn, credential_blob, key_version) values (:other, gen_random_uuid(), '222222222222',"
    " 'arn:aws:iam::222222222222:role/x', 'b', 1)",
    "run": "insert into warehouse.connector_runs (organization_id, run_id, connection_id,"
    f" account_id, partition_day, dagster_run_id) values (:other, gen_random_uuid(),"
    f" :their_connection, '{ACCOUNT}', current_date, 'd')",
    "audit": "insert into warehouse.audit_log (organization_id, actor, action)"
    " values (:other, 'a', 'revoke')",
    "alert": "insert into warehouse.alerts (organization_id, kind, episode_key)"
    " values (:other, 'stale', 'y')",
    "alert, do nothing": "insert into warehouse.alerts (organization_id, kind, episode_key)"
    " values (:other, 'stale', 'x') on conflict do nothing",
    "assessment": "insert into warehouse.assessments (organization_id, title, created_by)"
    " values (:other, 't', 'a')",
    "pending": "insert into warehouse.pending_external_ids (organization_id, credential_blob,"
    " key_version) values (:other, 'b', 1)",
}


@pytest.mark.parametrize("what", WRITES_FOR_OTHERS)
def test_a_write_for_another_organization_is_refused(two: tuple[Tenant, Tenant], what: str) -> None:
    tenant, other = two
    values = {"other": other.organization_id, "their_connection": other.connection_id}
    used = {key: value for key, value in values.items() if f":{key}" in WRITES_FOR_OTHERS[what]}
    with pytest.raises(DBAPIError, match="row-level security"), tenant.scope() as c:
        c.execute(text(WRITES_FOR_OTHERS[what]), used)
    if used:  # the same write inside the right scope goes through, or only repeats a key
        values = {"other": tenant.organization_id, "their_connection": tenant.connection_id}
        used = {key: values[key] for key in used}
        if what == "pending":
            with tenant.scope() as c:
                connections.clear_pending_external_id(c)
        with tenant.scope() as c:
            c.execute(text(WRITES_FOR_OTHERS[what]), used)


SMUGGLED = {
    "run of their connection": (
        "insert into warehouse.connector_runs (run_id, connection_id, account_id,"
        " partition_day, dagster_run_id) values (gen_random_uuid(), :connection_id,"
        f" '{ACCOUNT}', current_date, 'd')"
    ),
    "observation of their run": (
        "insert into warehouse.evidence_observations (run_id, connection_id, evidence_type,"
        " read_status, error_code) values (:run_id, :connection_id, 'aws.x', 'error', 'bug')"
    ),
    "audit row about their connection": (
        "insert into warehouse.audit_log (actor, action, connection_id)"
        " values ('a', 'revoke', :connection_id)"
    ),
    "alert about their connection": (
        "insert into warehouse.alerts (kind, episode_key, connection_id)"
        " values ('stale', 'z', :connection_id)"
    ),
    "attachment of their evidence": (
        "insert into warehouse.assessment_evidence (assessment_id, evidence_id, attached_by)"
        " select assessment_id, :evidence_id, 'a' from warehouse.assessments"
    ),
}


@pytest.mark.parametrize("what", SMUGGLED)
def test_a_row_does_not_point_into_another_organization(
    two: tuple[Tenant, Tenant], admin: Engine, what: str
) -> None:
    tenant, other = two
    theirs: dict[str, Any] = dict(
        other.rows(
            "select run_id, connection_id, evidence_id from warehouse.evidence_observations"
        )[0]._mapping
    )
    used = {key: value for key, value in theirs.items() if f":{key}" in SMUGGLED[what]}
    with pytest.raises(IntegrityError, match="foreign key"), tenant.scope() as c:
        c.execute(text(SMUGGLED[what]), used)
    # Not even a superuser, whom row security does not bind.
    statement = f"set local app.organization_id = '{tenant.organization_id}'"
    own = "assessments where organization_id = warehouse.require_organization()"
    smuggled = SMUGGLED[what].replace("warehouse.assessments", f"warehouse.{own}")
    with admin.begin() as c:
        c.execute(text(statement))
        with pytest.raises(IntegrityError, match="foreign key"):
            c.execute(text(smuggled), used)


def test_another_organizations_rows_are_not_changed(two: tuple[Tenant, Tenant]) -> None:
    tenant, other = two
    with tenant.scope() as c:
        for statement in (
            "update warehouse.connections set status = 'needs_reauth' where connection_id = :id",
            "update warehouse.connector_runs set error_code = 'bug' where connection_id = :id",
            "update warehouse.evidence_state set last_error_code = 'x' where connection_id = :id",
        ):
            changed = c.execute(text(statement), {"id": other.connection_id})
            assert changed.rowcount == 0


def test_the_scheduler_lists_ids_and_reads_nothing(
    two: tuple[Tenant, Tenant], clean_database: WarehouseDatabase
) -> None:
    tenant, other = two
    scheduler = clean_database.engine("scheduler")
    assert live_organization_ids(scheduler) == [tenant.organization_id, other.organization_id]
    with other.scope() as c:
        connections.revoke_connection(c, other.connection_id)
    for wanted in ("partitioned", "due"):
        assert live_organization_ids(scheduler, wanted) == [tenant.organization_id]
    assert live_organization_ids(scheduler) == [tenant.organization_id, other.organization_id]
    with tenant.scope() as c:
        c.execute(text("update warehouse.organizations set deleted_at = now()"))
    assert live_organization_ids(scheduler) == [other.organization_id]
    for table in (*TENANT_TABLES, "identity_claims", "identity_secret", "bi_logins"):
        with pytest.raises(DBAPIError, match="permission denied"), scheduler.begin() as c:
            c.execute(text(f"select 1 from warehouse.{table}"))
    with pytest.raises(DBAPIError, match="permission denied"), tenant.engine.begin() as c:
        c.execute(text("select warehouse.live_organization_ids()"))


def test_dbt_reads_all_organizations_and_no_secret(
    two: tuple[Tenant, Tenant], clean_database: WarehouseDatabase
) -> None:
    transform = clean_database.engine("transform")
    readable = "connector_runs evidence evidence_observations evidence_state alerts organizations"
    with transform.begin() as c:
        for table in readable.split():
            query = f"select count(distinct organization_id) from warehouse.{table}"
            assert c.scalar(text(query)) == 2, table
        assert c.scalar(text("select count(role_arn) from warehouse.connections")) == 2
    for refused in (
        "select credential_blob from warehouse.connections",
        "select * from warehouse.organization_data_keys",
        "select * from warehouse.pending_external_ids",
        "select * from warehouse.audit_log",
        "insert into warehouse.organizations (organization_id, name) values ('x', 'x')",
        "update warehouse.evidence_state set verdict = 'pass'",
        "create table warehouse.mine (x int)",
    ):
        with pytest.raises(DBAPIError, match="permission denied"), transform.begin() as c:
            c.execute(text(refused))
    with transform.begin() as c:
        c.execute(text("create table coverage.mine (x int)"))


def test_a_temporary_table_shadows_nothing_in_a_definer_function(
    two: tuple[Tenant, Tenant],
) -> None:
    tenant, other = two
    with tenant.scope() as c:
        c.execute(
            text(
                "create temporary table audit_heads (organization_id text, seq bigint, row_hash text)"
            )
        )
        c.execute(text("create temporary table identity_claims (like audit_heads)"))
        c.execute(text("set local search_path = pg_temp, warehouse"))
        audit.append(c, "connect", detail={"shadowed": True})
        assert connections.claim(c, "role_arn", "12" * 32)
        assert c.scalar(text("select count(*) from pg_temp.audit_heads")) == 0
        c.execute(text("drop table pg_temp.audit_heads, pg_temp.identity_claims"))
    with tenant.scope() as c:
        assert audit.verify_chain(c).is_intact
    with other.scope() as c:
        assert not connections.claim(c, "role_arn", "12" * 32)


def test_explain_does_not_tell_the_size_of_a_guessed_organization(
    two: tuple[Tenant, Tenant], admin: Engine
) -> None:
    tenant, _ = two
    for number in range(30):
        tenant.sync(ok(note=number))
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as c:
        c.execute(text("analyze warehouse.evidence"))

    def estimate(organization_id: str) -> object:
        query = f"explain (format json) select * from warehouse.evidence where organization_id = '{organization_id}'"
        with organization_scope(tenant.engine, "c" * 24) as c:
            return c.scalar(text(query))[0]["Plan"]["Plan Rows"]

    assert estimate(tenant.organization_id) == estimate("d" * 24)


def test_two_processes_store_one_key_and_one_pending_id(tenant: Tenant) -> None:
    def store(number: int) -> tuple[bool, bool]:
        with tenant.scope() as c:
            key = data_keys.insert_data_key(
                c, version=2, kms_key_id="k", wrapped_key=bytes([number])
            )
            return key, connections.put_pending_external_id(c, bytes([number]), 1)

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(store, range(4)))
    assert sorted(results) == [(False, False)] * 3 + [(True, True)]
    with tenant.scope() as c:
        current = data_keys.current_data_key(c)
        assert current is not None
        assert current[0] == 2
        assert data_keys.data_key(c, 2) == current[2]
        assert data_keys.data_key(c, 7) is None
        pending = connections.get_pending_external_id(c)
        assert pending is not None
        assert pending[0] == current[2], "one process stored both"
        connections.clear_pending_external_id(c)
        assert connections.get_pending_external_id(c) is None


def test_an_organization_is_found_in_its_own_scope(tenant: Tenant) -> None:
    with tenant.scope() as c:
        found = organizations.get_organization(c)
    assert found is not None
    assert (found.organization_id, found.retention_days) == (tenant.organization_id, 2557)
    with organization_scope(tenant.engine, "c" * 24) as c:
        assert organizations.get_organization(c) is None
    with pytest.raises(IntegrityError), tenant.scope() as c:
        organizations.add_organization(c, tenant.organization_id, "again")
