"""What Dagster loads: the contract's names, from an empty environment."""

import os
import subprocess
import sys

import pytest
from dagster import AssetCheckKey, AssetKey, DefaultScheduleStatus, DefaultSensorStatus

from thirdsentry_pipeline.assets.evidence_specs import EVIDENCE_KEYS
from thirdsentry_pipeline.definitions import defs
from thirdsentry_pipeline.domain.evidence import EvidenceType

EVIDENCE = {
    "iam_root_mfa",
    "iam_mfa_coverage",
    "iam_password_policy",
    "cloudtrail_multi_region_logging",
    "s3_account_public_access_block",
    "guardduty_status",
    "guardduty_high_severity_findings",
}


@pytest.fixture(scope="module")
def graph():
    return defs.resolve_asset_graph()


HEAVY = ("dbt", "dbt_common", "dagster_aws", "boto3", "pandas", "moto")

LOAD = f"""
import sys
import thirdsentry_pipeline.definitions
print(*sorted(set({HEAVY!r}) & set(sys.modules)))
"""


def test_import_needs_no_environment_writes_nothing_and_loads_nothing_heavy(tmp_path):
    finished = subprocess.run(
        [sys.executable, "-c", LOAD],
        cwd=tmp_path,
        env={"PATH": os.defpath, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    assert list(tmp_path.iterdir()) == []
    # Every run, command and test pays for what this loads: dbt alone was two seconds of CPU.
    assert finished.stdout.split() == []


def test_evidence_assets_have_the_contracts_names(graph):
    names = {key.path[1] for key in graph.get_all_asset_keys() if key.path[0] == "aws"}
    assert names == EVIDENCE == {kind.asset_name for kind in EvidenceType}


def test_evidence_assets_are_described_owned_and_fresh_within_48_hours(graph):
    for key in EVIDENCE_KEYS.values():
        node = graph.get(key)
        assert node.group_name == "aws_evidence"
        assert node.description
        assert node.owners
        assert "aws" in node.kinds
        assert node.freshness_policy.fail_window.to_timedelta().total_seconds() == 48 * 3600
        assert node.freshness_policy.warn_window.to_timedelta().total_seconds() == 36 * 3600


def test_every_evidence_asset_has_both_checks(graph):
    wanted = {
        AssetCheckKey(key, name)
        for key in EVIDENCE_KEYS.values()
        for name in ("organizations_are_fresh", "reads_are_authorized")
    }
    assert wanted <= set(graph.asset_check_keys)


def test_coverage_models_descend_from_every_evidence_asset(graph):
    mart = AssetKey(["coverage", "control_coverage"])
    assert set(EVIDENCE_KEYS.values()) <= set(graph.get_ancestor_asset_keys(mart))
    assert graph.get(mart).group_name == "coverage"


def test_jobs_schedules_and_sensors_have_the_contracts_names_and_are_on():
    repository = defs.get_repository_def()
    assert {"aws_evidence", "coverage_history", "audit_anchors", "retention_prune"} <= {
        job.name for job in defs.jobs
    }
    crons = {one.name: one.cron_schedule for one in repository.schedule_defs}
    assert crons["aws_evidence_daily"] == "0 2 * * *"
    assert crons["coverage_history_daily"] == "30 0 * * *"
    assert crons["audit_anchors_daily"] == "0 1 * * *"
    for one in repository.schedule_defs:
        assert one.execution_timezone == "UTC"
        # Deleting is for an operator to turn on.
        is_off = one.name == "retention_prune_daily"
        assert (one.default_status is DefaultScheduleStatus.STOPPED) is is_off
    assert {one.name for one in repository.sensor_defs} >= {"organization_registry"}
    for one in repository.sensor_defs:
        assert one.default_status is DefaultSensorStatus.RUNNING


def test_resources_take_no_config_that_could_hold_a_secret():
    for name in ("assume_role", "warehouse", "keys"):
        assert type(defs.resources[name]).model_fields == {}


def test_the_evidence_job_evaluates_no_check():
    job = defs.resolve_job_def("aws_evidence")
    assert [node.name for node in job.nodes] == ["read_aws_evidence"]
