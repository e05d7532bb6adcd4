"""A sync against the sandbox over HTTP and a real Postgres."""

import signal
import threading

import pytest

from tests.integration.operations.lab import ACCOUNT, ORGANIZATION
from tests.waiting import until
from thirdsentry_pipeline.aws import transport
from thirdsentry_pipeline.domain.evidence import ErrorCode, EvidenceType, ReadStatus
from thirdsentry_pipeline.domain.identifiers import today
from thirdsentry_pipeline.operations import sync_connection
from thirdsentry_pipeline.operations.connecting import revoke
from thirdsentry_pipeline.operations.sync import sync_organization
from thirdsentry_pipeline.operations.sync_results import SyncStatus

pytestmark = pytest.mark.integration

ALL = tuple(EvidenceType)
OTHER_ACCOUNT = "222222222222"
OPEN_TRANSACTIONS = """
    select count(*) from pg_stat_activity
    where datname = :name and usename = 'thirdsentry_pipeline' and state like '%transaction%'
"""


def sync(lab, types=ALL, organization_id=ORGANIZATION, **more):
    day = today(lab.services.clock)
    return sync_organization(lab.services, organization_id, day, types, "dagster-run", **more)


def test_a_sync_records_every_type_with_one_audit_row(organization_lab):
    lab = organization_lab
    lab.connected()
    seen = []
    outcome = sync(lab, on_progress=seen.append)
    assert outcome.status is SyncStatus.SUCCEEDED
    (one,) = outcome.connections
    assert seen == [one]
    assert set(one.evidence) == set(ALL)
    assert all(result.is_new and result.fingerprint for result in one.evidence.values())
    assert one.api_calls > len(ALL)
    assert lab.value("select count(*) from warehouse.evidence") == len(ALL)
    assert lab.value("select count(*) from warehouse.evidence_observations") == len(ALL)
    assert lab.value("select status from warehouse.connector_runs") == "succeeded"
    assert lab.value("select count(*) from warehouse.audit_log where action = 'sync'") == 1


def test_a_second_sync_adds_observations_and_no_evidence(organization_lab):
    lab = organization_lab
    lab.connected()
    sync(lab)
    outcome = sync(lab)
    assert not any(result.is_new for result in outcome.connections[0].evidence.values())
    assert lab.value("select count(*) from warehouse.evidence") == len(ALL)
    assert lab.value("select count(*) from warehouse.evidence_observations") == 2 * len(ALL)


def test_one_connections_failure_costs_the_other_nothing(organization_lab):
    lab = organization_lab
    broken = lab.connected(account_id=OTHER_ACCOUNT)
    healthy = lab.connected(account_id=ACCOUNT)
    lab.admin.client("iam", OTHER_ACCOUNT).delete_role_policy(
        RoleName="ThirdSentry", PolicyName="ThirdSentryRead"
    )
    lab.admin.client("iam", OTHER_ACCOUNT).delete_role(RoleName="ThirdSentry")
    outcome = sync(lab)
    assert outcome.status is SyncStatus.PARTIAL
    results = {one.connection_id: one for one in outcome.connections}
    assert results[broken].error_code is ErrorCode.ASSUME_ROLE_DENIED
    assert results[broken].evidence == {}
    assert results[healthy].status is SyncStatus.SUCCEEDED
    states = lab.rows("select connection_id, status from warehouse.connections")
    assert {row["connection_id"]: row["status"] for row in states} == {
        broken: "needs_reauth",
        healthy: "active",
    }
    runs = lab.rows("select connection_id, status, error_code from warehouse.connector_runs")
    assert {row["connection_id"]: row["error_code"] for row in runs} == {
        broken: "assume_role_denied",
        healthy: None,
    }
    audited = lab.rows("select connection_id from warehouse.audit_log where action = 'sync_failed'")
    assert [row["connection_id"] for row in audited] == [broken]


def test_a_denied_service_leaves_the_other_six_types_read(organization_lab):
    lab = organization_lab
    lab.connected()
    lab.admin.inject_fault(ACCOUNT, action="iam:GetAccountPasswordPolicy")
    outcome = sync(lab)
    assert outcome.status is SyncStatus.PARTIAL
    (one,) = outcome.connections
    unread = {
        kind: result
        for kind, result in one.evidence.items()
        if result.read_status is not ReadStatus.OK
    }
    assert set(unread) == {EvidenceType.PASSWORD_POLICY}
    assert unread[EvidenceType.PASSWORD_POLICY].error_code is ErrorCode.DENIED
    assert unread[EvidenceType.PASSWORD_POLICY].fingerprint is None
    assert lab.value("select count(*) from warehouse.evidence") == len(ALL) - 1


def test_another_account_behind_the_role_records_no_evidence(organization_lab):
    lab = organization_lab
    lab.connected()
    lab.admin.set_identity(ACCOUNT, OTHER_ACCOUNT)
    outcome = sync(lab)
    assert outcome.connections[0].error_code is ErrorCode.ACCOUNT_MISMATCH
    assert lab.value("select count(*) from warehouse.evidence_observations") == 0
    assert lab.value("select status from warehouse.connections") == "active"


def test_an_unavailable_key_fails_the_run_before_the_role_is_opened(organization_lab):
    lab = organization_lab
    lab.connected()
    lab.admin.inject_fault(action="kms:Decrypt", error_code="AccessDenied")
    lab.admin.clear_calls()
    outcome = sync(lab)
    assert outcome.connections[0].error_code is ErrorCode.KEY_UNAVAILABLE
    assert lab.admin.calls(action="sts:AssumeRole") == []
    assert lab.value("select error_code from warehouse.connector_runs") == "key_unavailable"


def test_a_connection_revoked_during_its_run_gets_nothing_written(organization_lab, monkeypatch):
    lab = organization_lab
    connection_id = lab.connected()
    collect = sync_connection.collect_account

    def revoked_meanwhile(session, types, **more):
        collected = collect(session, types, **more)
        revoke(lab.services, ORGANIZATION, str(connection_id))
        return collected

    monkeypatch.setattr(sync_connection, "collect_account", revoked_meanwhile)
    outcome = sync(lab)
    assert outcome.connections[0].error_code is ErrorCode.REVOKED_DURING_RUN
    assert lab.value("select count(*) from warehouse.evidence") == 0
    assert lab.value("select count(*) from warehouse.evidence_observations") == 0
    (run,) = lab.rows("select status, error_code from warehouse.connector_runs")
    assert run == {"status": "failed", "error_code": "revoked_during_run"}
    assert lab.value("select credential_blob is null from warehouse.connections")


def test_a_bug_in_one_connection_is_recorded_without_its_message(
    organization_lab, monkeypatch, caplog
):
    lab = organization_lab
    lab.connected()

    def broken(*_arguments, **_more):
        message = "the-secret-in-a-message"
        raise KeyError(message)

    monkeypatch.setattr(sync_connection, "collect_account", broken)
    outcome = sync(lab)
    assert outcome.connections[0].error_code is ErrorCode.BUG
    assert lab.value("select error_code from warehouse.connector_runs") == "bug"
    assert "KeyError" in caplog.text
    assert "the-secret-in-a-message" not in caplog.text


def test_no_transaction_is_open_while_aws_is_read(organization_lab, monkeypatch):
    lab = organization_lab
    lab.connected()
    collect = sync_connection.collect_account
    seen = []

    def watched(session, types, **more):
        seen.append(lab.value(OPEN_TRANSACTIONS, name=lab.database.name))
        return collect(session, types, **more)

    monkeypatch.setattr(sync_connection, "collect_account", watched)
    sync(lab)
    assert seen == [0]


def test_an_organization_without_live_connections_says_so(organization_lab):
    outcome = sync(organization_lab)
    assert outcome.status is SyncStatus.FAILED
    assert outcome.error_code is ErrorCode.NO_LIVE_CONNECTION


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "endless", ["sts:AssumeRole", "iam:GenerateCredentialReport", "guardduty:ListDetectors", None]
)
def test_an_interruption_ends_the_runs_under_way(organization_lab, monkeypatch, endless):
    lab = organization_lab
    lab.connected(account_id=ACCOUNT)
    lab.connected(account_id=OTHER_ACCOUNT)
    monkeypatch.setattr(transport, "READ_SECONDS", 500)
    if endless is None:
        lab.admin.set_credential_report(OTHER_ACCOUNT, polls=1000)
    else:
        lab.admin.inject_fault(OTHER_ACCOUNT, action=endless, effect="hang", seconds=500)

    def stop(_outcome):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sync(lab, on_progress=stop)
    runs = lab.rows("select account_id, status from warehouse.connector_runs")
    assert {row["account_id"]: row["status"] for row in runs} == {
        ACCOUNT: "succeeded",
        OTHER_ACCOUNT: "failed",
    }


def test_a_signal_that_another_thread_takes_ends_the_runs_under_way(organization_lab):
    lab = organization_lab
    lab.connected(account_id=ACCOUNT)
    lab.admin.set_credential_report(ACCOUNT, polls=1000)
    running = "select count(*) from warehouse.connector_runs where status = 'running'"

    def take_the_signal():
        until(lambda: lab.value(running) == 1)
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    taker = threading.Thread(target=take_the_signal)
    taker.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            sync(lab)
    finally:
        signal.signal(signal.SIGINT, before)
        taker.join()
    assert lab.value("select status from warehouse.connector_runs") == "failed"
