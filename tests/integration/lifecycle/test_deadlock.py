"""A transaction that Postgres gives up for another is written again; what was read is not lost."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from psycopg.errors import DeadlockDetected
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from tests.integration.lifecycle.test_revoking import until
from thirdsentry_pipeline.domain.evidence import ErrorCode
from thirdsentry_pipeline.operations import sync_connection
from thirdsentry_pipeline.operations.sync_results import SyncStatus

pytestmark = pytest.mark.integration

WAITING = """
    select count(*) from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock'
"""


def test_a_real_deadlock_costs_the_sync_nothing(acme):
    acme.connected()
    with acme.database.engine("admin").connect() as rival, ThreadPoolExecutor(1) as pool:
        # The rival waits patiently: Postgres ends the sync's transaction, not the rival's.
        rival.execute(text("set deadlock_timeout = '20s'"))
        rival.execute(text("select 1 from warehouse.audit_heads for update"))
        syncing = pool.submit(acme.sync)
        until(lambda: acme.value(WAITING) == 1)
        rival.execute(text("select 1 from warehouse.connections for update"))
        rival.commit()
        outcome = syncing.result(timeout=60)
    assert outcome.status is SyncStatus.SUCCEEDED
    assert acme.value("select count(*) from warehouse.evidence_observations") == 1
    assert acme.value("select status from warehouse.connector_runs") == "succeeded"
    deadlocks = "select deadlocks from pg_stat_database where datname = current_database()"
    until(lambda: acme.value(deadlocks) == 1)


def test_a_deadlock_that_comes_back_is_given_up_after_three_attempts(acme, monkeypatch):
    acme.connected()
    attempts = []

    def deadlocked(*_arguments, **_more):
        attempts.append(1)
        raise OperationalError(None, {}, DeadlockDetected())

    monkeypatch.setattr(sync_connection.evidence, "record_readings", deadlocked)
    assert acme.sync().error_code is ErrorCode.TRANSIENT
    assert len(attempts) == 3
    assert acme.value("select error_code from warehouse.connector_runs") == "transient"


def test_another_database_failure_is_not_tried_again(acme, monkeypatch):
    acme.connected()
    attempts = []

    def broken(*_arguments, **_more):
        attempts.append(1)
        raise OperationalError(None, {}, Exception())

    monkeypatch.setattr(sync_connection.evidence, "record_readings", broken)
    assert acme.sync().error_code is ErrorCode.TRANSIENT
    assert len(attempts) == 1
