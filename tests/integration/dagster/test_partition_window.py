"""The window of days moves, and nothing that was collected or scheduled is lost."""

from datetime import UTC, date, datetime, time

import pytest
from dagster import AssetMaterialization, DagsterEventType, DagsterRunStatus
from dagster._core.definitions.timestamp import TimestampWithTimezone
from dagster._core.execution.api import execute_run
from dagster._core.scheduler.instigation import InstigatorStatus
from dagster._core.test_utils import in_process_test_workspace
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._utils.hosted_user_process import recon_job_from_origin

from tests.integration.operations.lab import ORGANIZATION
from thirdsentry_pipeline.assets.evidence_specs import EVIDENCE_KEYS
from thirdsentry_pipeline.automation.launch import run_evidence_job
from thirdsentry_pipeline.domain.evidence import EvidenceType
from thirdsentry_pipeline.domain.identifiers import today
from thirdsentry_pipeline.domain.time import utc_now
from thirdsentry_pipeline.partitions import partition_key, window_start

pytestmark = pytest.mark.integration

LONG_AGO = date(2025, 1, 15)
ROOT_MFA = EVIDENCE_KEYS[EvidenceType.ROOT_MFA]
# The whole as a shard of one: its partitions are made when it is loaded, not when imported.
LOCATION = LoadableTargetOrigin(module_name="thirdsentry_pipeline.shards", attribute="shard_1_of_1")
TICK = datetime.combine(today(utc_now), time(2), tzinfo=UTC)


def materialized(instance):
    return {key: instance.get_materialized_partitions(key) for key in EVIDENCE_KEYS.values()}


def window_of(repository):
    snap = repository.get_asset_node_snap(ROOT_MFA)
    days = snap.partitions.get_partitions_definition().get_partitions_def_for_dimension("day")
    return days.get_first_partition_key(), days.get_last_partition_key()


def tick_and_run(instance, location, repository):
    """The schedule's tick, and the run of its request as any machine would carry it out."""
    (request,) = location.get_schedule_execution_data(
        instance,
        repository.handle,
        "aws_evidence_daily",
        TimestampWithTimezone(TICK.timestamp(), "UTC"),
        None,
    ).run_requests
    job = repository.get_full_job("aws_evidence")
    launched = recon_job_from_origin(job.get_python_origin())
    run = instance.create_run_for_job(
        launched.get_definition(), tags=dict(request.tags), job_code_origin=job.get_python_origin()
    )
    execute_run(launched, run, instance)
    return request.run_key, instance.get_run_by_id(run.run_id).status


def test_a_moved_window_loses_no_history_and_no_schedule(installation, monkeypatch):
    installation.lab.organization()
    installation.lab.connected()
    old, new = partition_key(LONG_AGO, ORGANIZATION), partition_key(today(utc_now), ORGANIZATION)
    states, keys = [], set()
    with installation.instance() as instance:
        for asset in EVIDENCE_KEYS.values():
            instance.report_runless_asset_event(AssetMaterialization(asset, partition=old))
        for number, days in enumerate((90, 30, 120), start=1):
            monkeypatch.setenv("THIRDSENTRY_PARTITION_WINDOW_DAYS", str(days))
            with in_process_test_workspace(instance, LOCATION) as workspace:
                (location,) = workspace.code_locations
                (repository,) = location.get_repositories().values()
                first = window_start(utc_now(), days).date().isoformat()
                assert window_of(repository) == (first, today(utc_now).isoformat())
                schedule = repository.get_schedule("aws_evidence_daily")
                if not states:
                    instance.stop_schedule(
                        schedule.get_remote_origin_id(), schedule.selector_id, schedule
                    )
                states.append(
                    instance.get_instigator_state(
                        schedule.get_remote_origin_id(), schedule.selector_id
                    )
                )
                run_key, status = tick_and_run(instance, location, repository)
                keys.add(run_key)
                assert status is DagsterRunStatus.SUCCESS
            assert set(map(frozenset, materialized(instance).values())) == {frozenset({old, new})}
            runs = "select count(*) from warehouse.connector_runs where status = 'succeeded'"
            assert installation.lab.value(runs) == number
    # What a person turned off stays off, and a tick asks for the run that was asked for before.
    assert states[0].status is InstigatorStatus.STOPPED
    assert states == [states[0]] * 3
    assert len(keys) == 1
    # The command line's process has a third window.
    _, collected = run_evidence_job(
        installation.settings, ORGANIZATION, today(utc_now), tuple(EvidenceType)
    )
    assert collected


def test_a_day_outside_of_the_window_is_refused_with_a_sentence(installation):
    installation.lab.organization()
    installation.lab.connected()
    run_id, success = run_evidence_job(
        installation.settings, ORGANIZATION, LONG_AGO, tuple(EvidenceType)
    )
    assert not success
    with installation.instance() as instance:
        (failure,) = [
            one.dagster_event.step_failure_data.error
            for one in instance.all_logs(run_id, of_type=DagsterEventType.STEP_FAILURE)
        ]
    assert "The partition of 2025-01-15 can't be collected" in failure.message
    assert installation.lab.value("select count(*) from warehouse.connector_runs") == 0
