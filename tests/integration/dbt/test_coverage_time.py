"""Coverage is right the instant it is read: by commits and by time alone, with no job between."""

from __future__ import annotations

import pytest

from tests.integration.dbt.coverage_rows import hours_ago
from thirdsentry_pipeline.domain.evidence import EvidenceType

pytestmark = pytest.mark.integration

STATUS = """
    select evidence_status, is_fresh from coverage.evidence_freshness
    where evidence_type = 'aws.iam.password_policy'
"""
THOUSANDS = """
    insert into warehouse.evidence_state (
        organization_id, connection_id, evidence_type, last_attempt_at, last_attempt_status
    )
    select lpad(to_hex(n), 24, 'f'), gen_random_uuid(), 'aws.iam.root_mfa', now(), 'error'
    from generate_series(1, 5000) as n
"""
CONTROLS = "select distinct control_status, is_covered from coverage.control_coverage"


def test_time_alone_turns_passing_into_stale(tenant, admin):
    """Same transaction, same snapshot, nothing written: only the clock moved."""
    account = tenant.connect(connected_at=hours_ago(100))
    tenant.observe_all(account, hours_ago(48))
    mart = "coverage.control_coverage where organization_id = %s"
    read = f"select distinct control_status, is_covered from {mart}"
    parameters = (tenant.organization_id,)
    with admin.transaction(force_rollback=True):
        admin.execute(
            "update warehouse.evidence_state set last_ok_at = clock_timestamp()"
            " - interval '48 hours' + interval '500 milliseconds' where organization_id = %s",
            parameters,
        )
        assert admin.execute(read, parameters).fetchall() == [
            {"control_status": "passing", "is_covered": True}
        ]
        admin.execute("select pg_sleep(0.6)")
        assert admin.execute(read, parameters).fetchall() == [
            {"control_status": "stale", "is_covered": False}
        ]


def test_sync_makes_coverage_right_at_once(tenant, pipeline_rows):
    account = tenant.connect()
    assert pipeline_rows(tenant.organization_id, CONTROLS) == [
        {"control_status": "pending", "is_covered": False}
    ]
    tenant.observe_all(account, hours_ago(0))
    assert pipeline_rows(tenant.organization_id, CONTROLS) == [
        {"control_status": "passing", "is_covered": True}
    ]


def test_denied_read_does_not_refresh_evidence(tenant, pipeline_rows):
    account = tenant.connect(connected_at=hours_ago(100))
    tenant.observe(account, EvidenceType.PASSWORD_POLICY, hours_ago(49))
    tenant.observe(account, EvidenceType.PASSWORD_POLICY, hours_ago(1), read_status="denied")
    assert pipeline_rows(tenant.organization_id, STATUS) == [
        {"evidence_status": "stale", "is_fresh": False}
    ]


def test_connection_may_set_a_smaller_threshold(tenant, pipeline_rows):
    account = tenant.connect(connected_at=hours_ago(100), hours=6)
    tenant.observe(account, EvidenceType.PASSWORD_POLICY, hours_ago(7))
    assert pipeline_rows(tenant.organization_id, STATUS) == [
        {"evidence_status": "stale", "is_fresh": False}
    ]


def test_revoked_connection_leaves_coverage_at_once(tenant, pipeline_rows):
    account = tenant.connect()
    tenant.observe_all(account, hours_ago(0))
    tenant.revoke(account)
    assert pipeline_rows(tenant.organization_id, STATUS) == []
    assert pipeline_rows(tenant.organization_id, CONTROLS) == [
        {"control_status": "missing", "is_covered": False}
    ]
    health = "select status, is_stale from coverage.connector_health"
    assert pipeline_rows(tenant.organization_id, health) == [
        {"status": "revoked", "is_stale": False}
    ]


def test_organization_without_connection_is_a_row_of_zeros(tenant, pipeline_rows):
    (row,) = pipeline_rows(tenant.organization_id, "select * from coverage.organization_coverage")
    assert row["connections_live"] == 0
    assert (row["evidence_required"], row["evidence_missing"]) == (7, 7)
    assert (float(row["covered_pct"]), float(row["passing_pct"])) == (0, 0)
    assert row["last_ok_at"] is None


def test_second_account_that_never_synced_uncovers_everything(tenant, pipeline_rows):
    tenant.observe_all(tenant.connect(), hours_ago(1))
    tenant.connect(connected_at=hours_ago(49))
    assert pipeline_rows(tenant.organization_id, CONTROLS) == [
        {"control_status": "missing", "is_covered": False}
    ]


def test_organization_s_rows_are_found_by_index_among_thousands(tenant, admin):
    """One organization's coverage must not cost a walk through all of them."""
    tenant.connect()
    with admin.transaction(force_rollback=True):
        admin.execute("set local session_replication_role = replica")
        admin.execute(THOUSANDS)
        admin.execute("analyze warehouse.evidence_steps")
        plan = admin.execute(
            "explain select * from coverage.organization_coverage where organization_id = %s",
            (tenant.organization_id,),
        ).fetchall()
    lines = [row["QUERY PLAN"].strip() for row in plan]
    (found,) = [number for number, line in enumerate(lines) if " on evidence_steps" in line]
    assert "Index Scan using evidence_steps_pkey" in lines[found]
    assert "organization_id = " in lines[found + 1]


def test_source_freshness_names_the_evidence_that_stopped_coming(coverage_project, tenant, admin):
    """One source per evidence asset, each with its own newest read."""
    account = tenant.connect(connected_at=hours_ago(100))
    tenant.observe_all(account, hours_ago(1))
    backdate = (
        "update warehouse.evidence_state set last_ok_at = last_ok_at + make_interval(days => %s)"
        " where evidence_type = 'aws.guardduty.status'"
    )
    admin.execute(backdate, (-9,))
    output = coverage_project.fail("--no-quiet", "source", "freshness")
    admin.execute(backdate, (9,))
    stopped = [line for line in output.splitlines() if "ERROR STALE" in line]
    assert len(stopped) == 1
    assert "aws.guardduty_status" in stopped[0]
    assert output.count("PASS freshness") == len(EvidenceType) - 1


def test_state_that_differs_from_its_observations_is_found(coverage_project, tenant, admin):
    account = tenant.connect(connected_at=hours_ago(100))
    tenant.observe(account, EvidenceType.PASSWORD_POLICY, hours_ago(49))
    changed = "update warehouse.evidence_state set last_ok_at = %s where connection_id = %s"
    kept = admin.execute(
        "select last_ok_at from warehouse.evidence_state where connection_id = %s", (account,)
    ).fetchone()["last_ok_at"]
    admin.execute(changed, (hours_ago(1), account))
    output = coverage_project.fail("test", "--select", "evidence_state_equals_its_observations")
    assert "Got 2 results" in output
    admin.execute(changed, (kept, account))
