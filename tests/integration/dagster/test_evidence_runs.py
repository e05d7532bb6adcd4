"""Real runs on a real instance: what an operator and the daemon would find afterwards."""

import pytest
from dagster import AssetKey, DagsterRunStatus

from tests.integration.operations.lab import ACCOUNT, ORGANIZATION
from thirdsentry_pipeline.assets.evidence import ORGANIZATION_TAG, STATUS_TAG
from thirdsentry_pipeline.assets.evidence_specs import EVIDENCE_KEYS
from thirdsentry_pipeline.automation.launch import run_evidence_job
from thirdsentry_pipeline.domain.evidence import EvidenceType
from thirdsentry_pipeline.domain.identifiers import today
from thirdsentry_pipeline.domain.time import utc_now

pytestmark = pytest.mark.integration


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
