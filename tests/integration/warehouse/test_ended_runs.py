"""How connections end and runs are given up, and what that leaves of a run under way."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import uuid4

import psutil
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError

from tests.integration.audit.waiting import until_waiting
from tests.integration.warehouse.conftest import ACCOUNT, ALL_OK, DAY, Tenant
from thirdsentry_pipeline.domain.errors import InputError, RunFailedError
from thirdsentry_pipeline.domain.evidence import ErrorCode
from thirdsentry_pipeline.warehouse import connections, runs

pytestmark = pytest.mark.integration


def test_a_connection_revoked_during_the_run_gets_nothing_written(tenant: Tenant) -> None:
    run_id = tenant.start()
    with tenant.scope() as c:
        connections.revoke_connection(c, tenant.connection_id)
    with pytest.raises(RunFailedError) as raised:
        tenant.record(run_id, *ALL_OK)
    assert raised.value.code is ErrorCode.REVOKED_DURING_RUN
    for table in ("evidence", "evidence_observations", "evidence_state", "audit_log"):
        assert tenant.rows(f"select 1 from warehouse.{table}") == []
    with tenant.scope() as c:
        assert runs.fail_run(c, run_id, ErrorCode.REVOKED_DURING_RUN, 4)
    assert tenant.rows("select status, error_code from warehouse.connector_runs") == [
        ("failed", "revoked_during_run")
    ]


def test_revoking_waits_for_the_readings_that_are_being_written(
    tenant: Tenant, admin: Engine
) -> None:
    run_id = tenant.start()
    with ThreadPoolExecutor(1) as pool:
        with tenant.scope() as c:
            tenant.record_in(c, run_id, *ALL_OK)

            def revoke() -> None:
                with tenant.scope() as other:
                    connections.revoke_connection(other, tenant.connection_id)

            revoked = pool.submit(revoke)
            until_waiting(admin)
            assert not revoked.done()
        revoked.result(timeout=10)
    late = tenant.rows(
        "select 1 from warehouse.evidence_observations as o join warehouse.connections as c"
        " using (organization_id, connection_id) where o.observed_at > c.deleted_at"
    )
    assert late == []


def test_a_run_of_a_revoked_connection_does_not_start(tenant: Tenant) -> None:
    with tenant.scope() as c:
        connections.revoke_connection(c, tenant.connection_id)
    with pytest.raises(RunFailedError, match="revoked"):
        tenant.start()


def test_the_next_run_abandons_one_whose_process_was_killed(tenant: Tenant, admin: Engine) -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    worker = runs.this_worker().split(":")[0]
    worker = f"{worker}:{process.pid}:{psutil.Process(process.pid).create_time():.2f}"
    dead = uuid4()
    with tenant.scope() as c:
        runs.start_run(
            c,
            run_id=dead,
            connection_id=tenant.connection_id,
            partition_day=DAY,
            dagster_run_id="d",
        )
    with tenant.scope() as c:
        assert not runs.worker_is_gone(worker)
        assert runs.sweep_abandoned(c) == []
    process.kill()
    process.communicate()
    assert runs.worker_is_gone(worker)
    mark_worker(admin, worker)
    alive = tenant.start()
    assert dict(
        tuple(row) for row in tenant.rows("select run_id, status from warehouse.connector_runs")
    ) == {dead: "abandoned", alive: "running"}
    assert [
        tuple(row) for row in tenant.rows("select action, run_id from warehouse.audit_log")
    ] == [("sync_failed", dead)]
    with pytest.raises(RunFailedError, match="had ended"):
        tenant.record(dead, *ALL_OK)
    with tenant.scope() as c:
        assert not runs.fail_run(c, dead, ErrorCode.BUG)


def mark_worker(admin: Engine, worker: str) -> None:
    """Give the runs another worker; the pipeline itself may not."""
    with admin.begin() as c:
        c.execute(text("update warehouse.connector_runs set worker = :worker"), {"worker": worker})


def test_a_run_of_another_host_is_abandoned_when_overdue(tenant: Tenant) -> None:
    run_id = tenant.start()
    with tenant.scope() as c:
        assert runs.sweep_abandoned(c, timedelta(hours=1)) == []
        assert runs.sweep_abandoned(c, timedelta(0)) == [run_id]


def test_one_account_has_one_live_connection(tenant: Tenant) -> None:
    with pytest.raises(IntegrityError):
        tenant.connect()
    with tenant.scope() as c:
        connections.revoke_connection(c, tenant.connection_id)
    tenant.connect()


def test_revoking_forgets_the_secret_for_good(tenant: Tenant) -> None:
    with tenant.scope() as c:
        assert connections.credential_blob(c, tenant.connection_id) == (b"sealed", 1)
        connections.revoke_connection(c, tenant.connection_id)
        with pytest.raises(RunFailedError):
            connections.credential_blob(c, tenant.connection_id)
    with tenant.scope() as c:
        found = connections.get_connection(c, tenant.connection_id)
        assert found is not None
        assert (found.status, found.key_version) == ("revoked", None)
        with pytest.raises(InputError):
            connections.reactivate(
                c, tenant.connection_id, role_arn="x", credential_blob=b"", key_version=1
            )


def test_a_role_that_stays_closed_is_asked_less_and_less(tenant: Tenant) -> None:
    waits = []
    for _ in range(5):
        with tenant.scope() as c:
            connections.mark_needs_reauth(c, tenant.connection_id)
        waits += tenant.rows(
            "select round(extract(epoch from next_attempt_at - now()) / 3600)::int,"
            " status, failed_attempts from warehouse.connections"
        )
    assert [tuple(wait) for wait in waits] == [
        (hours, "needs_reauth", number + 1) for number, hours in enumerate([23, 47, 95, 191, 191])
    ]
    with tenant.scope() as c:
        connections.reactivate(
            c,
            tenant.connection_id,
            role_arn=f"arn:aws:iam::{ACCOUNT}:role/New",
            credential_blob=b"again",
            key_version=1,
        )
        found = connections.get_connection(c, tenant.connection_id)
    assert found is not None
    assert (found.status, found.failed_attempts, found.next_attempt_at) == ("active", 0, None)
