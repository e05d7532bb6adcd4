"""BI and audit logins read one organization, by who they are."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError, OperationalError

from tests.integration.warehouse.conftest import draft_with_evidence, ok
from thirdsentry_pipeline.domain.errors import InputError, ThirdSentryError
from thirdsentry_pipeline.warehouse import bi_logins
from thirdsentry_pipeline.warehouse.database import engine_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from tests.databases import WarehouseDatabase
    from tests.integration.warehouse.conftest import Tenant

pytestmark = pytest.mark.integration


@pytest.fixture
def reader(
    tenant: Tenant, other_tenant: Tenant, clean_database: WarehouseDatabase
) -> Iterator[Engine]:
    """A BI login of the first organization, in a warehouse with two."""
    tenant.sync(ok(note=1))
    other_tenant.sync(ok(note=2))
    name = f"bi_{uuid4().hex[:8]}"
    with tenant.scope() as c:
        granted = bi_logins.grant_login(c, name, actor="zoe")
    assert granted.password not in repr(granted)
    url = make_url(clean_database.pipeline_url).set(username=name, password=granted.password)
    engine = engine_for(url.render_as_string(hide_password=False), pool=False)
    yield engine
    with tenant.scope() as c:
        if any(one["login"] == name for one in bi_logins.list_logins(c)):
            bi_logins.revoke_login(c, name, actor="zoe")


READABLE = (
    "organizations",
    "connections",
    "connector_runs",
    "evidence",
    "evidence_observations",
    "evidence_state",
    "evidence_steps",
)


@pytest.mark.parametrize("table", READABLE)
def test_a_reader_sees_its_own_organization_whatever_it_sets(
    reader: Engine, tenant: Tenant, other_tenant: Tenant, table: str
) -> None:
    query = text(f"select distinct organization_id from warehouse.{table}")
    with reader.connect() as c:
        assert list(c.scalars(query)) == [tenant.organization_id]
        c.execute(text(f"set app.organization_id = '{other_tenant.organization_id}'"))
        assert list(c.scalars(query)) == [tenant.organization_id]


@pytest.mark.parametrize(
    "statement",
    [
        "select credential_blob from warehouse.connections",
        "select * from warehouse.connections",
        "select * from warehouse.audit_log",
        "select * from warehouse.organization_data_keys",
        "select * from warehouse.pending_external_ids",
        "select * from warehouse.identity_claims",
        "select * from warehouse.identity_secret",
        "select * from warehouse.bi_logins",
        "select warehouse.live_organization_ids()",
        "select warehouse.claim_identity('role_arn', repeat('0', 64))",
        "set role ts_pipeline",
        "set role ts_owner",
        "create table coverage.mine (x int)",
        "create temporary table connections (x int)",
    ],
)
def test_a_reader_reaches_nothing_else(reader: Engine, statement: str) -> None:
    with reader.connect() as c, pytest.raises(DBAPIError, match=r"permission denied|read-only"):
        c.execute(text(f"set transaction read write; {statement}"))


def test_a_revoked_reader_reads_nothing_and_its_name_is_free_again(
    reader: Engine, tenant: Tenant
) -> None:
    name = reader.url.username
    assert name is not None
    with tenant.scope() as c:
        bi_logins.revoke_login(c, name, actor="zoe")
    with pytest.raises(OperationalError, match="password authentication failed"):
        reader.connect()
    with pytest.raises(InputError), tenant.scope() as c:
        bi_logins.revoke_login(c, name, actor="zoe")
    with tenant.scope() as c:
        bi_logins.grant_login(c, name, actor="zoe")


def test_a_taken_or_reserved_name_is_refused(reader: Engine, other_tenant: Tenant) -> None:
    name = reader.url.username
    assert name is not None
    for refused, why in (
        (name, "taken"),
        ("thirdsentry_x", "3 to 63"),
        ("ts_x", "3 to 63"),
        ("A b", "3 to 63"),
    ):
        with pytest.raises(ThirdSentryError, match=why), other_tenant.scope() as c:
            bi_logins.grant_login(c, refused, actor="zoe")
    with pytest.raises(InputError), other_tenant.scope() as c:
        bi_logins.revoke_login(c, name, actor="zoe")


def test_an_auditor_reads_the_log_and_the_assessments_of_its_organization(
    tenant: Tenant, other_tenant: Tenant, clean_database: WarehouseDatabase
) -> None:
    draft_with_evidence(tenant)
    draft_with_evidence(other_tenant)
    name = f"auditor_{uuid4().hex[:8]}"
    with tenant.scope() as c:
        granted = bi_logins.grant_login(c, name, actor="zoe", reader_role="ts_auditor")
    url = make_url(clean_database.pipeline_url).set(username=name, password=granted.password)
    engine = engine_for(url.render_as_string(hide_password=False), pool=False)
    with engine.connect() as c:
        for table in (*READABLE, "audit_log", "assessments", "assessment_evidence"):
            found = set(c.scalars(text(f"select organization_id from warehouse.{table}")))
            assert found == {tenant.organization_id}, table
    with tenant.scope() as c:
        bi_logins.revoke_login(c, name, actor="zoe")
