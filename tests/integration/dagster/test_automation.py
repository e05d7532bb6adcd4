"""The schedule and the sensor on a real instance and warehouse; the instance's own file."""

import stat
import subprocess
import sys
from datetime import UTC, datetime

import pytest
import yaml
from dagster import (
    build_schedule_context,
    build_sensor_context,
)
from sqlalchemy import make_url

from tests.integration.operations.lab import ACCOUNT, ORGANIZATION, OTHER_ORGANIZATION
from thirdsentry_pipeline.automation.instance import write_instance
from thirdsentry_pipeline.definitions import defs
from thirdsentry_pipeline.partitions import ORGANIZATIONS

pytestmark = pytest.mark.integration

DYING = """
import os
from datetime import date
from uuid import UUID, uuid4
from thirdsentry_pipeline.warehouse import runs
from thirdsentry_pipeline.warehouse.database import engine_for
from thirdsentry_pipeline.warehouse.scope import organization_scope
url, organization_id, connection_id = input().split()
with organization_scope(engine_for(url), organization_id) as connection:
    runs.start_run(
        connection,
        run_id=uuid4(),
        connection_id=UUID(connection_id),
        partition_day=date(2026, 11, 23),
        dagster_run_id="died",
    )
os._exit(9)
"""

TICK = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)


def tick(instance):
    repository = defs.get_repository_def()
    schedule = repository.get_schedule_def("aws_evidence_daily")
    with build_schedule_context(
        instance=instance,
        scheduled_execution_time=TICK,
        resources={"warehouse": defs.resources["warehouse"]},
        repository_def=repository,
    ) as context:
        return schedule.evaluate_tick(context).run_requests


def test_the_schedule_requests_one_run_per_connected_organization(installation):
    lab = installation.lab
    lab.organization(ORGANIZATION)
    lab.organization(OTHER_ORGANIZATION)
    lab.connected(ORGANIZATION)
    with installation.instance() as instance:
        (request,) = tick(instance)
        (again,) = tick(instance)
    assert request.partition_key == f"2026-11-23|{ORGANIZATION}"
    assert request.tags["thirdsentry/organization"] == ORGANIZATION
    assert again.run_key == request.run_key
    assert request.run_config == {}


def test_a_batched_schedule_names_the_first_and_last_neighbour(installation, monkeypatch):
    monkeypatch.setenv("THIRDSENTRY_ORGANIZATIONS_PER_RUN", "2")
    lab = installation.lab
    for organization_id, account in ((ORGANIZATION, ACCOUNT), (OTHER_ORGANIZATION, "222222222222")):
        lab.organization(organization_id)
        lab.connected(organization_id, account)
    with installation.instance() as instance:
        (request,) = tick(instance)
    assert request.tags["dagster/asset_partition_range_start"] == f"2026-11-23|{ORGANIZATION}"
    assert request.tags["dagster/asset_partition_range_end"] == f"2026-11-23|{OTHER_ORGANIZATION}"


def test_the_registry_follows_the_warehouse(installation):
    lab = installation.lab
    lab.organization(ORGANIZATION)
    sensor = defs.get_repository_def().get_sensor_def("organization_registry")
    with installation.instance() as instance:
        instance.add_dynamic_partitions(ORGANIZATIONS, [OTHER_ORGANIZATION])
        with build_sensor_context(
            instance=instance, resources={"warehouse": defs.resources["warehouse"]}
        ) as context:
            requests = sensor.evaluate_tick(context).dynamic_partitions_requests
    assert [list(one.partition_keys) for one in requests] == [[ORGANIZATION], [OTHER_ORGANIZATION]]


def test_the_instance_file_is_private_and_stores_runs_in_postgres(installation):
    home = write_instance(installation.settings)
    path = home / "dagster.yaml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    content = yaml.safe_load(path.read_text())
    url = make_url(content["storage"]["postgres"]["postgres_url"])
    assert url.drivername == "postgresql+psycopg2"
    assert content["telemetry"] == {"enabled": False}
    assert content["run_monitoring"]["enabled"] is True
    limits = content["concurrency"]["runs"]["tag_concurrency_limits"]
    assert {
        "key": "thirdsentry/organization",
        "value": {"applyLimitPerUniqueValue": True},
        "limit": 1,
    } in limits
    written = path.stat().st_mtime_ns
    write_instance(installation.settings)
    assert path.stat().st_mtime_ns == written
    with installation.instance() as instance:
        assert type(instance.run_storage).__name__ == "PostgresRunStorage"
        assert instance.freshness_enabled
        assert not instance.telemetry_enabled


def test_a_run_whose_process_died_is_ended_by_the_sweep(installation):
    lab = installation.lab
    lab.organization(ORGANIZATION)
    connection_id = lab.connected(ORGANIZATION)
    died = subprocess.run(
        [sys.executable, "-c", DYING],
        input=f"{lab.database.pipeline_url} {ORGANIZATION} {connection_id}",
        text=True,
        check=False,
    )
    assert died.returncode == 9
    sensor = defs.get_repository_def().get_sensor_def("abandoned_runs")
    with installation.instance() as instance:
        context = build_sensor_context(
            instance=instance, resources={"warehouse": defs.resources["warehouse"]}
        )
        with context:
            assert "1 connector runs" in sensor.evaluate_tick(context).skip_message
    assert lab.value("select status from warehouse.connector_runs") == "abandoned"
    assert lab.value("select count(*) from warehouse.audit_log where action = 'sync_failed'") == 1
