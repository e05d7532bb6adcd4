"""Who sees what: the pipeline inside an organization, BI logins, and nobody else's rows."""

from __future__ import annotations

from uuid import UUID

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tests.integration.dbt.coverage_rows import Tenant, hours_ago
from tests.integration.dbt.test_coverage_schema import MARTS

pytestmark = pytest.mark.integration

RELATIONS = [*MARTS, "stale_episodes", "int_evidence_daily"]
PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="module")
def two_tenants(coverage_project):
    """Two organizations with a row in every mart each, history included."""
    with psycopg.connect(coverage_project.database.admin_url, autocommit=True) as connection:
        tenants = [Tenant.add(connection, created_at=hours_ago(100)) for _ in range(2)]
        for tenant in tenants:
            tenant.fill_every_mart()
        # Days that other tests told already would be left as they are.
        connection.execute("delete from coverage.coverage_daily")
        coverage_project.succeed("run", "--select", "coverage_daily")
        yield tenants


@pytest.fixture
def bi_url(coverage_project, admin, two_tenants):
    """A BI login of the first organization, made as the product makes it."""
    login = f"reader_{two_tenants[0].organization_id}"
    verifier = admin.pgconn.encrypt_password(
        PASSWORD.encode(), login.encode(), b"scram-sha-256"
    ).decode()
    pipeline_url = coverage_project.database.pipeline_url
    with psycopg.connect(pipeline_url) as connection:
        connection.execute(
            "select set_config('app.organization_id', %s, true)",
            (two_tenants[0].organization_id,),
        )
        connection.execute(
            "select warehouse.create_bi_login(%s, %s, 'ts_bi', 'test')", (login, verifier)
        )
    yield make_conninfo(pipeline_url, user=login, password=PASSWORD)
    with psycopg.connect(pipeline_url) as connection:
        connection.execute(
            "select set_config('app.organization_id', %s, true)",
            (two_tenants[0].organization_id,),
        )
        connection.execute("select warehouse.drop_bi_login(%s)", (login,))


@pytest.mark.parametrize("relation", RELATIONS)
def test_pipeline_sees_its_organization_and_nothing_without_one(
    two_tenants, pipeline_rows, relation
):
    query = f"select distinct organization_id from coverage.{relation}"
    for tenant in two_tenants:
        rows = pipeline_rows(tenant.organization_id, query)
        assert rows == [{"organization_id": tenant.organization_id}]
    assert pipeline_rows("", query) == []


def test_bi_login_reads_every_relation_of_its_organization_alone(two_tenants, bi_url):
    mine, other = (tenant.organization_id for tenant in two_tenants)
    with psycopg.connect(bi_url, autocommit=True) as connection:
        # A setting is what anyone can set: it must not matter.
        connection.execute("select set_config('app.organization_id', %s, false)", (other,))
        for relation in RELATIONS:
            query = f"select distinct organization_id from coverage.{relation}"
            assert connection.execute(query).fetchall() == [(mine,)], relation


def test_history_keeps_its_walls_after_a_rebuild(
    coverage_project, admin, two_tenants, bi_url, pipeline_rows
):
    """A rebuilt table has lost its policies; the build that makes it puts them back."""
    query = "select * from coverage.coverage_daily order by as_of_date, framework, control_id"
    mine = two_tenants[0].organization_id
    before = pipeline_rows(mine, query)
    assert before
    admin.execute("drop table coverage.coverage_daily")
    coverage_project.succeed("run", "--select", "coverage_daily")
    assert pipeline_rows(mine, query) == before
    own = "select distinct organization_id from coverage.coverage_daily"
    assert pipeline_rows(mine, own) == [{"organization_id": mine}]
    with psycopg.connect(bi_url) as connection:
        assert connection.execute(own).fetchall() == [(mine,)]
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute("delete from coverage.coverage_daily")


@pytest.fixture
def told_long_ago(admin, two_tenants):
    """The date of a day in an organization's history that no build would tell again."""
    mine = two_tenants[0].organization_id
    admin.execute(
        "create temporary table told as select * from coverage.coverage_daily"
        " where organization_id = %(mine)s and as_of_date = ("
        "  select min(as_of_date) from coverage.coverage_daily where organization_id = %(mine)s)",
        {"mine": mine},
    )
    admin.execute("update told set as_of_date = as_of_date - 400")
    admin.execute("insert into coverage.coverage_daily select * from told")
    day = admin.execute("select distinct as_of_date from told").fetchone()["as_of_date"]
    yield day
    admin.execute("delete from coverage.coverage_daily where as_of_date = %s", (day,))
    admin.execute("drop table told")


def test_full_refresh_does_not_drop_history(coverage_project, admin, told_long_ago):
    told = (
        "select * from coverage.coverage_daily where as_of_date = %s order by framework, control_id"
    )
    before = admin.execute(told, (told_long_ago,)).fetchall()
    assert before
    coverage_project.succeed("run", "--full-refresh", "--select", "coverage_daily")
    assert admin.execute(told, (told_long_ago,)).fetchall() == before


def test_marts_show_the_payloads(two_tenants, pipeline_rows):
    mine = two_tenants[0].organization_id
    (mfa,) = pipeline_rows(mine, "select * from coverage.mfa_coverage")
    assert (mfa["users_with_password"], mfa["users_with_mfa"], float(mfa["mfa_pct"])) == (2, 1, 50)
    assert (mfa["root_mfa"], mfa["is_fresh"]) == ("pass", False)
    (gap,) = pipeline_rows(mine, "select * from coverage.mfa_gaps")
    assert gap["user_name"] == f"user of {mine}"
    (finding,) = pipeline_rows(mine, "select * from coverage.guardduty_findings")
    assert (finding["finding_id"], finding["severity_label"]) == (mine, "high")
    assert isinstance(finding["connection_id"], UUID)
