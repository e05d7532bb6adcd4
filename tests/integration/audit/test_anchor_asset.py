"""The asset ``audit/anchors`` and the pruning job, run by Dagster on its own instance."""

import pytest
from dagster import AssetKey, DagsterEventType
from sqlalchemy import text

from tests.integration.audit.chains import tamper
from tests.integration.operations.lab import ACCOUNT, ORGANIZATION, OTHER_ORGANIZATION, lab
from thirdsentry_pipeline.automation.launch import run_anchors_job
from thirdsentry_pipeline.aws.anchors import AnchorBucket
from thirdsentry_pipeline.definitions import defs
from thirdsentry_pipeline.operations.audit import verify_organization

__all__ = ["lab"]

pytestmark = pytest.mark.integration
ANCHORS = AssetKey(["audit", "anchors"])


@pytest.fixture
def two_organizations(installation):
    """Each with a connection, and so with one row in its log."""
    for organization_id, account_id in (
        (ORGANIZATION, ACCOUNT),
        (OTHER_ORGANIZATION, "222222222222"),
    ):
        installation.lab.organization(organization_id)
        installation.lab.connected(organization_id, account_id)
    return installation


def bucket_of(installation):
    s3 = installation.lab.services.platform.client("s3")
    return AnchorBucket(s3, installation.settings.anchor_bucket)


def failure_of(instance, run_id):
    records = instance.get_records_for_run(run_id, of_type=DagsterEventType.STEP_FAILURE).records
    (record,) = records
    data = record.event_log_entry.dagster_event.step_failure_data
    return data.user_failure_data.description


def test_a_run_anchors_every_organization_and_tells_how_many(two_organizations):
    run_id, success = run_anchors_job(two_organizations.settings)
    assert success
    bucket = bucket_of(two_organizations)
    assert bucket.organization_ids() == [ORGANIZATION, OTHER_ORGANIZATION]
    for organization_id in (ORGANIZATION, OTHER_ORGANIZATION):
        engine = two_organizations.lab.services.pipeline
        found = verify_organization(engine, organization_id, bucket)
        assert found.chain.is_intact
        assert found.anchors == 1
    with two_organizations.instance() as instance:
        event = instance.get_latest_materialization_event(ANCHORS)
    assert event.run_id == run_id
    metadata = {name: one.value for name, one in event.asset_materialization.metadata.items()}
    assert metadata["bucket"] == bucket.name
    assert (metadata["organizations"], metadata["anchored"], metadata["failed"]) == (2, 2, 0)
    _, success = run_anchors_job(two_organizations.settings)
    assert success
    with two_organizations.instance() as instance:
        metadata = instance.get_latest_materialization_event(ANCHORS).asset_materialization.metadata
    assert (metadata["anchored"].value, metadata["unchanged"].value) == (0, 2)


def test_a_tampered_log_fails_the_run_by_name_and_the_others_are_anchored(two_organizations):
    admin = two_organizations.lab.database.engine("admin")
    change = "update warehouse.audit_log set actor = 'mallory' where organization_id = '{}'"
    tamper(admin, change.format(ORGANIZATION))
    run_id, success = run_anchors_job(two_organizations.settings)
    assert not success
    assert bucket_of(two_organizations).organization_ids() == [OTHER_ORGANIZATION]
    with two_organizations.instance() as instance:
        assert instance.get_latest_materialization_event(ANCHORS) is None
        observed = instance.fetch_observations(ANCHORS, limit=1).records[0].asset_observation
        reason = failure_of(instance, run_id)
        assert instance.get_run_by_id(run_id).tags["dagster/max_retries"] == "0"
    assert "1 of 2 organizations" in reason
    assert ORGANIZATION in reason
    assert "number 1:" in reason
    assert OTHER_ORGANIZATION not in reason
    (sample,) = observed.metadata["sample"].value
    assert sample["organization_id"] == ORGANIZATION


def test_without_a_bucket_the_run_fails_with_the_setting_and_is_not_tried_again(
    two_organizations, monkeypatch
):
    monkeypatch.delenv("THIRDSENTRY_ANCHOR_BUCKET")
    run_id, success = run_anchors_job(two_organizations.settings)
    assert not success
    with two_organizations.instance() as instance:
        reason = failure_of(instance, run_id)
        assert instance.get_run_by_id(run_id).tags["dagster/max_retries"] == "0"
    assert "THIRDSENTRY_ANCHOR_BUCKET" in reason
    assert "audit_anchors_daily" in reason


def test_the_pruning_job_prunes_each_organization_and_is_off_by_default(two_organizations):
    with two_organizations.lab.database.engine("admin").begin() as c:
        c.execute(
            text(
                "alter table warehouse.organizations"
                " drop constraint organizations_retention_days_check"
            )
        )
        c.execute(text("update warehouse.organizations set retention_days = 0"))
        for organization_id in (ORGANIZATION, OTHER_ORGANIZATION):
            c.execute(
                text("select set_config('app.organization_id', :id, true)"),
                {"id": organization_id},
            )
            c.execute(
                text(
                    "insert into warehouse.audit_log (organization_id, actor, action)"
                    " values (:id, 'zoe', 'connect')"
                ),
                {"id": organization_id},
            )
    job = defs.resolve_job_def("retention_prune")
    with two_organizations.instance() as instance:
        assert job.execute_in_process(instance=instance).success
    checkpoints = two_organizations.lab.rows(
        "select organization_id, actor, detail from warehouse.audit_log"
        " where action = 'retention_checkpoint' order by organization_id"
    )
    assert [one["organization_id"] for one in checkpoints] == [ORGANIZATION, OTHER_ORGANIZATION]
    assert {one["detail"]["audit_rows"] for one in checkpoints} == {1}
    schedule = defs.get_repository_def().get_schedule_def("retention_prune_daily")
    assert schedule.default_status.value == "STOPPED"
