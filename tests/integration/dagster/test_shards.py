"""Two shards in one workspace, each location in a process of its own, as the daemon sees them."""

from datetime import UTC, datetime, time
from pathlib import Path

import pytest
import yaml
from dagster import DagsterRunStatus
from dagster._core.definitions.timestamp import TimestampWithTimezone
from dagster._core.execution.api import execute_run
from dagster._core.test_utils import create_test_daemon_workspace_context
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster._utils.hosted_user_process import recon_job_from_origin

from thirdsentry_pipeline.assets.evidence_specs import EVIDENCE_KEYS
from thirdsentry_pipeline.domain.evidence import EvidenceType
from thirdsentry_pipeline.domain.identifiers import today
from thirdsentry_pipeline.domain.shards import shard_number
from thirdsentry_pipeline.domain.time import utc_now
from thirdsentry_pipeline.partitions import ORGANIZATIONS, partition_key

pytestmark = pytest.mark.integration

SHARDED = Path(__file__).parents[3] / "deploy" / "workspace-sharded.yaml"
FIRST, SECOND = "65f0a1b2c3d4e5f6a7b8c9d0", "65f0a1b2c3d4e5f6a7b8c9d2"
ACCOUNTS = {FIRST: "111111111111", SECOND: "222222222222"}
LOCATION_OF = {one: f"thirdsentry_shard_{shard_number(one, 2)}" for one in ACCOUNTS}


@pytest.fixture
def shards(installation, tmp_path):
    """The two shards of the workspace file, loaded by the daemon's own means."""
    for organization_id, account_id in ACCOUNTS.items():
        installation.lab.organization(organization_id)
        installation.lab.connected(organization_id, account_id)
    entries = yaml.safe_load(SHARDED.read_text())["load_from"]
    kept = [one for one in entries if one["python_module"]["attribute"].startswith("shard_")]
    file = tmp_path / "workspace.yaml"
    file.write_text(yaml.safe_dump({"load_from": kept}))
    with (
        installation.instance() as instance,
        create_test_daemon_workspace_context(WorkspaceFileTarget([str(file)]), instance) as process,
    ):
        yield instance, {one.name: one for one in process.create_request_context().code_locations}


def repository(location):
    (only,) = location.get_repositories().values()
    return only


def tick(instance, location):
    moment = datetime.combine(today(utc_now), time(2), tzinfo=UTC).timestamp()
    return location.get_schedule_execution_data(
        instance,
        repository(location).handle,
        "aws_evidence_daily",
        TimestampWithTimezone(moment, "UTC"),
        None,
    ).run_requests


def test_every_organization_is_collected_by_its_shard_alone(shards):
    instance, locations = shards
    assert set(LOCATION_OF.values()) == set(locations)
    requests = {name: tick(instance, location) for name, location in locations.items()}
    day = today(utc_now)
    for organization_id, name in LOCATION_OF.items():
        key = partition_key(day, organization_id)
        assert [one.partition_key for one in requests[name]] == [key]
        snap = repository(locations[name]).get_asset_node_snap(EVIDENCE_KEYS[EvidenceType.ROOT_MFA])
        partitions = snap.partitions.get_partitions_definition()
        names = partitions.get_partition_keys(dynamic_partitions_store=instance)
        assert key in names
        assert all(one.endswith(organization_id) for one in names)
    assert instance.get_dynamic_partitions(ORGANIZATIONS) == []

    name = LOCATION_OF[SECOND]
    job = repository(locations[name]).get_full_job("aws_evidence")
    run = launched_as_the_daemon_would(instance, job, requests[name][0])
    assert run.status is DagsterRunStatus.SUCCESS
    done = {str(partition_key(day, SECOND))}
    for asset in EVIDENCE_KEYS.values():
        assert instance.get_materialized_partitions(asset) == done


def launched_as_the_daemon_would(instance, job, request):
    """Load the job from what the run's origin says, as a run's process on any machine does."""
    origin = job.get_python_origin()
    launched = recon_job_from_origin(origin)
    run = instance.create_run_for_job(
        launched.get_definition(),
        tags=dict(request.tags),
        remote_job_origin=job.get_remote_origin(),
        job_code_origin=origin,
    )
    execute_run(launched, run, instance, raise_on_error=True)
    return instance.get_run_by_id(run.run_id)
