"""Runs, evidence, observations and state: written whole, once, or not at all."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from tests.integration.warehouse.conftest import ACCOUNT, ALL_OK, Tenant, denied, ok
from thirdsentry_pipeline.domain.errors import RunFailedError
from thirdsentry_pipeline.domain.evidence import ErrorCode, EvidenceType, Verdict
from thirdsentry_pipeline.warehouse import evidence

pytestmark = pytest.mark.integration


def test_a_second_run_of_the_same_facts_adds_observations_and_no_evidence(tenant: Tenant) -> None:
    first = tenant.sync(*ALL_OK)
    second = tenant.sync(*ALL_OK)
    assert all(one.is_new for one in first)
    assert not any(one.is_new for one in second)
    assert [one.evidence_id for one in first] == [one.evidence_id for one in second]
    assert tenant.rows("select count(*) from warehouse.evidence")[0][0] == 7
    assert tenant.rows("select count(*) from warehouse.evidence_observations")[0][0] == 14


def test_the_answer_keeps_the_order_of_the_readings(tenant: Tenant) -> None:
    order = [
        ok(EvidenceType.PASSWORD_POLICY),
        denied(EvidenceType.ROOT_MFA),
        ok(EvidenceType.MFA_COVERAGE),
    ]
    assert [one.evidence_type for one in tenant.sync(*order)] == [
        one.reading.evidence_type for one in order
    ]


def test_eight_runs_of_one_day_at_once_store_each_fact_once(tenant: Tenant) -> None:
    started = [tenant.start(f"dagster-{number}") for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda run_id: tenant.record(run_id, *ALL_OK), started))
    assert sum(one.is_new for result in results for one in result) == 7
    assert tenant.rows("select count(*) from warehouse.evidence")[0][0] == 7
    assert tenant.rows("select count(*) from warehouse.evidence_state")[0][0] == 7
    statuses = tenant.rows("select status, count(*) from warehouse.connector_runs group by 1")
    assert statuses == [("succeeded", 8)]


def test_two_connections_bring_the_same_facts_at_once_without_deadlock(tenant: Tenant) -> None:
    twin = Tenant(tenant.engine, tenant.organization_id, tenant.connect("222222222222"))

    def record(which: Tenant) -> None:
        account = ACCOUNT if which is tenant else "222222222222"
        for number in range(10):
            run_id = which.start()
            with which.scope() as c:
                evidence.record_readings(
                    c,
                    run_id=run_id,
                    connection_id=which.connection_id,
                    account_id=account,
                    readings=[ok(kind, note=number) for kind in EvidenceType],
                    api_calls=1,
                    throttles=0,
                )

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(record, [tenant, twin]))
    assert tenant.rows("select count(*) from warehouse.evidence")[0][0] == 70


def test_denied_read_does_not_refresh_evidence(tenant: Tenant) -> None:
    tenant.sync(ok(note=1))
    before = tenant.rows("select last_ok_at, evidence_id from warehouse.evidence_state")
    tenant.sync(denied())
    after = tenant.rows("select last_ok_at, evidence_id from warehouse.evidence_state")
    assert before == after
    assert tenant.rows(
        "select last_attempt_status, last_error_code, last_attempt_at > last_ok_at"
        " from warehouse.evidence_state"
    ) == [("denied", "denied", True)]


def test_a_type_never_read_well_has_an_attempt_and_nothing_good(tenant: Tenant) -> None:
    tenant.sync(denied())
    assert tenant.rows(
        "select evidence_id, verdict, fingerprint, last_ok_at from warehouse.evidence_state"
    ) == [(None, None, None, None)]


def test_state_is_as_old_as_the_source_says(tenant: Tenant) -> None:
    generated = datetime.now(UTC) - timedelta(hours=3)
    tenant.sync(ok(EvidenceType.MFA_COVERAGE, source_generated_at=generated))
    assert tenant.rows("select last_ok_at from warehouse.evidence_state") == [(generated,)]


def test_a_source_ahead_of_the_database_clock_makes_nothing_fresher(tenant: Tenant) -> None:
    tenant.sync(ok(source_generated_at=datetime.now(UTC) + timedelta(days=3)))
    assert tenant.rows(
        "select s.last_ok_at = o.observed_at from warehouse.evidence_state as s"
        " join warehouse.evidence_observations as o using (organization_id, connection_id)"
    ) == [(True,)]


def test_a_verdict_that_returns_points_to_its_first_evidence(tenant: Tenant) -> None:
    first = tenant.sync(ok(note="good"))[0].evidence_id
    tenant.sync(ok(verdict=Verdict.FAIL, note="bad"))
    assert tenant.sync(ok(note="good"))[0].evidence_id == first
    assert tenant.rows("select evidence_id, verdict from warehouse.evidence_state") == [
        (first, "pass")
    ]


@pytest.mark.parametrize(
    ("readings", "status", "code"),
    [
        ((ok(),), "succeeded", None),
        ((ok(), denied(EvidenceType.S3_PUBLIC_ACCESS_BLOCK)), "partial", "denied"),
        ((denied(),), "failed", "denied"),
    ],
)
def test_a_run_ends_as_its_reads_did(tenant: Tenant, readings, status, code) -> None:
    tenant.sync(*readings)
    assert tenant.rows(
        "select status, error_code, api_calls, finished_at >= started_at"
        " from warehouse.connector_runs"
    ) == [(status, code, 3, True)]
    action = "sync_failed" if status == "failed" else "sync"
    assert [row.action for row in tenant.rows("select action from warehouse.audit_log")] == [action]


def test_readings_of_another_account_are_refused(tenant: Tenant) -> None:
    run_id = tenant.start()
    with pytest.raises(RunFailedError) as raised, tenant.scope() as c:
        evidence.record_readings(
            c,
            run_id=run_id,
            connection_id=tenant.connection_id,
            account_id="999999999999",
            readings=ALL_OK,
            api_calls=1,
            throttles=0,
        )
    assert raised.value.code is ErrorCode.ACCOUNT_MISMATCH


def test_the_pipeline_cannot_backdate_what_it_observed(tenant: Tenant) -> None:
    run_id = tenant.start()
    with pytest.raises(Exception, match="permission denied"), tenant.scope() as c:
        c.execute(
            text(
                "insert into warehouse.evidence_observations (run_id, connection_id,"
                " evidence_type, read_status, error_code, observed_at)"
                " values (:run_id, :connection_id, 'aws.x', 'error', 'bug', now())"
            ),
            {"run_id": run_id, "connection_id": tenant.connection_id},
        )


def test_state_equals_its_recomputation(tenant: Tenant) -> None:
    tenant.sync(*ALL_OK)
    tenant.sync(denied(), ok(EvidenceType.MFA_COVERAGE, verdict=Verdict.FAIL))
    tenant.sync(ok(note="other"))
    wrong = tenant.rows("""
        with good as (
            select distinct on (connection_id, evidence_type)
                connection_id, evidence_type, evidence_id,
                least(observed_at, source_generated_at) as last_ok_at
            from warehouse.evidence_observations where read_status = 'ok'
            order by connection_id, evidence_type, observed_at desc
        ), tried as (
            select distinct on (connection_id, evidence_type) *
            from warehouse.evidence_observations
            order by connection_id, evidence_type, observed_at desc
        )
        select * from warehouse.evidence_state as s
        full join good using (connection_id, evidence_type)
        full join tried using (connection_id, evidence_type)
        where (s.evidence_id, s.last_ok_at, s.last_attempt_at, s.last_attempt_status)
            is distinct from
            (good.evidence_id, good.last_ok_at, tried.observed_at, tried.read_status)
    """)
    assert wrong == []
