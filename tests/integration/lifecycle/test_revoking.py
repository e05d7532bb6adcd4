"""Revoking: at once, also under a running sync; what was proved stays readable."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from dagster import build_sensor_context
from sqlalchemy.exc import OperationalError

from tests.integration.operations.lab import ACCOUNT, ORGANIZATION
from tests.waiting import until
from thirdsentry_pipeline.automation.launch import run_evidence_job
from thirdsentry_pipeline.definitions import defs
from thirdsentry_pipeline.domain.evidence import ErrorCode, EvidenceType
from thirdsentry_pipeline.domain.identifiers import today
from thirdsentry_pipeline.domain.time import utc_now
from thirdsentry_pipeline.operations.connecting import connect, reauth, revoke
from thirdsentry_pipeline.operations.sync_results import SyncStatus
from thirdsentry_pipeline.partitions import ORGANIZATIONS
from thirdsentry_pipeline.warehouse import audit

pytestmark = pytest.mark.integration

OTHER_ACCOUNT = "222222222222"
SLOW_SECONDS = 15
WRITTEN_LATER = """
    select
      (select count(*) from warehouse.evidence where connection_id = :id)
      + (select count(*) from warehouse.evidence_observations where connection_id = :id)
      + (select count(*) from warehouse.evidence_state where connection_id = :id)
"""


def test_a_connection_revoked_while_it_is_read_has_nothing_written(acme):
    revoked = acme.connected(account_id=ACCOUNT)
    kept = acme.connected(account_id=OTHER_ACCOUNT)
    acme.admin.inject_fault(
        ACCOUNT, action="iam:GetAccountPasswordPolicy", effect="latency", seconds=SLOW_SECONDS
    )
    acme.admin.clear_calls()
    with ThreadPoolExecutor(1) as pool:
        syncing = pool.submit(acme.sync)
        until(lambda: len(acme.admin.calls(action="sts:AssumeRole", account_id=ACCOUNT)) > 0)
        revoke(acme.services, ORGANIZATION, str(revoked))
        assert not syncing.done(), "revoking waited for the reading"
        acme.admin.clear_faults()
        outcome = syncing.result(timeout=60)
    results = {one.connection_id: one for one in outcome.connections}
    assert results[revoked].error_code is ErrorCode.REVOKED_DURING_RUN
    assert results[kept].status is SyncStatus.SUCCEEDED
    assert acme.value(WRITTEN_LATER, id=revoked) == 0
    assert acme.value(WRITTEN_LATER, id=kept) == 3
    run = acme.one(
        "select status, error_code from warehouse.connector_runs where connection_id = :id",
        id=revoked,
    )
    assert run == {"status": "failed", "error_code": "revoked_during_run"}
    gone = acme.one("select * from warehouse.connections where connection_id = :id", id=revoked)
    assert (gone["status"], gone["credential_blob"], gone["key_version"]) == ("revoked", None, None)
    actions = [one["action"] for one in acme.audited("revoke", "sync", "sync_failed")]
    assert sorted(actions) == ["revoke", "sync", "sync_failed"]


def test_a_role_refused_after_revocation_does_not_wake_the_connection(acme, no_waits):
    revoked = acme.connected()
    acme.shut()
    acme.admin.inject_fault(ACCOUNT, action="sts:AssumeRole", effect="latency", seconds=1, count=1)
    with ThreadPoolExecutor(1) as pool:
        syncing = pool.submit(acme.sync)
        until(lambda: acme.value("select count(*) from warehouse.connector_runs") == 1)
        revoke(acme.services, ORGANIZATION, str(revoked))
        syncing.result(timeout=60)
    assert acme.value("select status from warehouse.connections") == "revoked"


def test_the_last_revocation_takes_the_partition_and_leaves_the_history(
    installation, acme, thirdsentry
):
    first, last = (acme.connected(account_id=one) for one in (ACCOUNT, OTHER_ACCOUNT))
    types = (EvidenceType.PASSWORD_POLICY, EvidenceType.ROOT_MFA)
    run_evidence_job(installation.settings, ORGANIZATION, today(utc_now), types)

    def revoked(connection_id):
        asked = ("revoke", "--organization", ORGANIZATION, "--connection", str(connection_id))
        assert thirdsentry(*asked, "--json").code == 0
        with installation.instance() as instance:
            return list(instance.get_dynamic_partitions(ORGANIZATIONS))

    assert revoked(first) == [ORGANIZATION]
    assert revoked(last) == []
    shown = thirdsentry("evidence", "--organization", ORGANIZATION, "--json").document
    assert {(one["account_id"], one["evidence_type"]) for one in shown} == {
        (account_id, kind) for account_id in (ACCOUNT, OTHER_ACCOUNT) for kind in types
    }
    assert {(one["evidence_status"], one["is_fresh"]) for one in shown} == {("revoked", False)}
    assert all(one["fingerprint"] and one["last_ok_at"] for one in shown)
    log = thirdsentry("audit", "log", "--organization", ORGANIZATION, "--json")
    assert log.code == 0
    assert log.out.count('"revoke"') == 2
    assert acme.value("select count(*) from warehouse.evidence") == 4
    with installation.instance() as instance:
        assert len(instance.get_runs()) == 1


def test_the_registry_takes_the_partition_where_the_command_could_not(installation, acme):
    connection_id = acme.connected()
    sensor = defs.get_repository_def().get_sensor_def("organization_registry")

    def tick(instance):
        with build_sensor_context(
            instance=instance, resources={"warehouse": defs.resources["warehouse"]}
        ) as context:
            return [
                (type(one).__name__, list(one.partition_keys))
                for one in sensor.evaluate_tick(context).dynamic_partitions_requests
            ]

    with installation.instance() as instance:
        assert tick(instance) == [("AddDynamicPartitionsRequest", [ORGANIZATION])]
        instance.add_dynamic_partitions(ORGANIZATIONS, [ORGANIZATION])
        assert revoke(acme.services, ORGANIZATION, str(connection_id)) is True
        assert tick(instance) == [("DeleteDynamicPartitionsRequest", [ORGANIZATION])]
        instance.delete_dynamic_partition(ORGANIZATIONS, ORGANIZATION)
        acme.connected()
        assert tick(instance) == [("AddDynamicPartitionsRequest", [ORGANIZATION])]


def test_revoking_stands_when_dagster_cannot_be_reached(
    installation, acme, thirdsentry, monkeypatch
):
    connection_id = acme.connected()
    # Dagster tries five times more; the twelve seconds between its attempts prove nothing.
    monkeypatch.setattr("dagster_postgres.utils.calculate_delay", lambda **_: 0)
    monkeypatch.setenv("THIRDSENTRY_DAGSTER_DATABASE_URL", "postgresql://x:y@127.0.0.1:1/dagster")
    asked = ("revoke", "--organization", ORGANIZATION, "--connection", str(connection_id))
    outcome = thirdsentry(*asked, "--json")
    assert outcome.code == 0
    assert outcome.document["status"] == "revoked"
    assert "organization_registry" in outcome.err
    assert acme.value("select status from warehouse.connections") == "revoked"


@pytest.mark.parametrize("turn", ["connect", "reauth", "revoke", "needs_reauth", "sync"])
def test_a_turn_without_its_audit_row_does_not_happen(acme, no_waits, monkeypatch, turn):
    def lost(*_arguments, **_more):
        raise OperationalError(None, {}, Exception())

    arn = acme.role()
    identity = None if turn == "connect" else str(acme.connected())
    if turn == "needs_reauth":
        acme.shut()
    before = acme.rows("select * from warehouse.connections")
    monkeypatch.setattr(audit, "append", lost)
    if turn == "connect":
        with pytest.raises(OperationalError):
            connect(acme.services, ORGANIZATION, arn)
    elif turn == "reauth":
        with pytest.raises(OperationalError):
            reauth(acme.services, ORGANIZATION, identity)
    elif turn == "revoke":
        with pytest.raises(OperationalError):
            revoke(acme.services, ORGANIZATION, identity)
    else:
        acme.sync()
        assert acme.value("select count(*) from warehouse.evidence_observations") == 0
        assert acme.value("select status from warehouse.connector_runs") == "running"
    assert acme.rows("select * from warehouse.connections") == before
