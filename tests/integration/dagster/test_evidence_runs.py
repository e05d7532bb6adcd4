"""Real runs on a real instance: what an operator and the daemon would find afterwards."""

import json
from datetime import timedelta

import pytest
from dagster import AssetKey, DagsterEventType, DagsterRunStatus

from tests.integration.operations.lab import ACCOUNT, ORGANIZATION, OTHER_ORGANIZATION
from thirdsentry_pipeline.assets.evidence import MAX_RETRIES_TAG, ORGANIZATION_TAG, STATUS_TAG
from thirdsentry_pipeline.assets.evidence_specs import EVIDENCE_KEYS
from thirdsentry_pipeline.automation import launch
from thirdsentry_pipeline.automation.launch import run_evidence_job
from thirdsentry_pipeline.automation.schedules import batch_request
from thirdsentry_pipeline.domain.evidence import EvidenceType
from thirdsentry_pipeline.domain.identifiers import today
from thirdsentry_pipeline.domain.time import utc_now
from thirdsentry_pipeline.partitions import ORGANIZATIONS

pytestmark = pytest.mark.integration

CLOSED = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"},
        ],
    }
)


def collect(installation, types=tuple(EvidenceType), day=None):
    day = day or today(utc_now)
    return run_evidence_job(installation.settings, ORGANIZATION, day, types)


def test_a_run_materializes_every_type_of_its_partition(installation):
    installation.lab.organization()
    installation.lab.connected()
    run_id, success = collect(installation)
    assert success
    key = f"{today(utc_now)}|{ORGANIZATION}"
    with installation.instance() as instance:
        run = instance.get_run_by_id(run_id)
        assert run.job_name == "aws_evidence"
        assert run.status is DagsterRunStatus.SUCCESS
        assert run.tags["dagster/partition"] == key
        assert run.tags[ORGANIZATION_TAG] == ORGANIZATION
        assert run.tags[STATUS_TAG] == "succeeded"
        for asset in EVIDENCE_KEYS.values():
            assert instance.get_materialized_partitions(asset) == {key}
        event = instance.get_latest_materialization_event(AssetKey(["aws", "iam_root_mfa"]))
        metadata = event.asset_materialization.metadata
        assert metadata["accounts_read"].value == 1
        assert ACCOUNT in metadata["results"].value


def events_of(instance, run_id, kind):
    return [
        one
        for one in instance.all_logs(run_id)
        if one.is_dagster_event and one.dagster_event.event_type is kind
    ]


def test_a_denied_service_leaves_its_partition_missing_and_says_why(installation):
    installation.lab.organization()
    installation.lab.connected()
    installation.lab.admin.inject_fault(ACCOUNT, action="s3:GetAccountPublicAccessBlock")
    run_id, success = collect(installation)
    assert success
    denied = EVIDENCE_KEYS[EvidenceType.S3_PUBLIC_ACCESS_BLOCK]
    with installation.instance() as instance:
        run = instance.get_run_by_id(run_id)
        assert run.tags[STATUS_TAG] == "partial"
        assert instance.get_materialized_partitions(denied) == set()
        (observed,) = events_of(instance, run_id, DagsterEventType.ASSET_OBSERVATION)
        observation = observed.dagster_event.asset_observation_data.asset_observation
        assert observation.asset_key == denied
        assert observation.partition == f"{today(utc_now)}|{ORGANIZATION}"
        assert observation.metadata["error_codes"].value == ["denied"]
        others = set(EVIDENCE_KEYS.values()) - {denied}
        assert all(instance.get_materialized_partitions(key) for key in others)


def test_a_closed_role_fails_the_run_for_good(installation):
    lab = installation.lab
    lab.organization()
    connection_id = lab.connected()
    lab.admin.client("iam", ACCOUNT).update_assume_role_policy(
        RoleName="ThirdSentry", PolicyDocument=CLOSED
    )
    run_id, success = collect(installation)
    assert not success
    with installation.instance() as instance:
        run = instance.get_run_by_id(run_id)
        assert run.status is DagsterRunStatus.FAILURE
        assert run.tags[STATUS_TAG] == "failed"
        # The daemon retries a failed run only while this tag lets it.
        assert run.tags[MAX_RETRIES_TAG] == "0"
        assert run.tags["dagster/will_retry"] == "false"
        (failure,) = events_of(instance, run_id, DagsterEventType.STEP_FAILURE)
        assert "assume_role_denied" in failure.dagster_event.step_failure_data.error.to_string()
    status = "select status from warehouse.connections where connection_id = :id"
    assert lab.value(status, id=connection_id) == "needs_reauth"
    assert lab.value("select count(*) from warehouse.audit_log where action = 'sync_failed'") == 1
    assert lab.value("select count(*) from warehouse.evidence_observations") == 0


def test_a_run_that_lacked_its_key_for_a_moment_may_be_tried_again(installation):
    installation.lab.organization()
    installation.lab.connected()
    installation.lab.admin.inject_fault(action="kms:Decrypt", error_code="KMSInternalException")
    run_id, success = collect(installation)
    assert not success
    with installation.instance() as instance:
        run = instance.get_run_by_id(run_id)
        assert run.tags[MAX_RETRIES_TAG] == "1"
        assert run.tags["dagster/will_retry"] == "true"


@pytest.mark.parametrize("days", [-2, 1])
def test_another_day_is_refused_before_anything_is_read(installation, days):
    installation.lab.organization()
    installation.lab.connected()
    installation.lab.admin.clear_calls()
    _, success = collect(installation, day=today(utc_now) + timedelta(days=days))
    assert not success
    # What time it is, is asked of STS before anything else; nothing is signed, nobody is read.
    asked = {call["action"] for call in installation.lab.admin.calls()}
    assert asked <= {"unsigned:GetCallerIdentity"}
    assert installation.lab.value("select count(*) from warehouse.connector_runs") == 0


def test_only_selected_types_are_read_and_materialized(installation):
    installation.lab.organization()
    installation.lab.connected()
    installation.lab.admin.clear_calls()
    wanted = EvidenceType.PASSWORD_POLICY
    _, success = collect(installation, types=[wanted])
    assert success
    actions = {call["action"] for call in installation.lab.admin.calls(account_id=ACCOUNT)}
    assert actions - {"sts:AssumeRole"} == {"sts:GetCallerIdentity", "iam:GetAccountPasswordPolicy"}
    with installation.instance() as instance:
        done = {key for key in EVIDENCE_KEYS.values() if instance.get_materialized_partitions(key)}
    assert done == {EVIDENCE_KEYS[wanted]}


def test_an_organization_without_connections_fails_with_a_sentence(installation):
    installation.lab.organization()
    run_id, success = collect(installation)
    assert not success
    with installation.instance() as instance:
        (failure,) = events_of(instance, run_id, DagsterEventType.STEP_FAILURE)
        assert "no live connection" in failure.dagster_event.step_failure_data.error.to_string()


def test_a_batch_keeps_each_organizations_partition_apart(installation):
    lab = installation.lab
    for organization_id, account in ((ORGANIZATION, ACCOUNT), (OTHER_ORGANIZATION, "222222222222")):
        lab.organization(organization_id)
        lab.connected(organization_id, account)
    lab.admin.client("iam", "222222222222").update_assume_role_policy(
        RoleName="ThirdSentry", PolicyDocument=CLOSED
    )
    day = today(utc_now)
    with installation.instance() as instance:
        instance.add_dynamic_partitions(ORGANIZATIONS, [ORGANIZATION, OTHER_ORGANIZATION])
        request = batch_request(day, [ORGANIZATION, OTHER_ORGANIZATION])
        run_id, success = launch._run(instance, "aws_evidence", tags=request.tags)
        assert not success
        for key in EVIDENCE_KEYS.values():
            assert instance.get_materialized_partitions(key) == {f"{day}|{ORGANIZATION}"}
        assert instance.get_run_by_id(run_id).tags[STATUS_TAG] == "partial"
    audited = lab.rows("select organization_id, action from warehouse.audit_log order by action")
    assert [row for row in audited if row["action"] != "connect"] == [
        {"organization_id": ORGANIZATION, "action": "sync"},
        {"organization_id": OTHER_ORGANIZATION, "action": "sync_failed"},
    ]
