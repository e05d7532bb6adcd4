"""The checks that look at all organizations, on a warehouse in which dbt has run or not."""

import pytest
from dagster import AssetCheckKey
from sqlalchemy import text

from tests.integration.operations.lab import ACCOUNT, ORGANIZATION, OTHER_ORGANIZATION
from thirdsentry_pipeline.assets.checks import AUTHORIZED, CHECK_SPECS, FRESH
from thirdsentry_pipeline.assets.evidence_specs import EVIDENCE_KEYS
from thirdsentry_pipeline.automation.launch import run_checks_job, run_evidence_job
from thirdsentry_pipeline.domain.evidence import EvidenceType
from thirdsentry_pipeline.domain.identifiers import today
from thirdsentry_pipeline.domain.time import utc_now

pytestmark = pytest.mark.integration
OTHER_ACCOUNT = "222222222222"
BLOCK = EvidenceType.S3_PUBLIC_ACCESS_BLOCK


@pytest.fixture
def clean_database(covered_database):
    """With the coverage schema: that Dagster's own job builds it is the demo's to show."""
    return covered_database


def sync(installation, organization_id):
    run_evidence_job(installation.settings, organization_id, today(utc_now), tuple(EvidenceType))


def evaluations(instance):
    keys = [AssetCheckKey(spec.asset_key, spec.name) for spec in CHECK_SPECS]
    records = instance.event_log_storage.get_latest_asset_check_execution_by_key(keys)
    return {
        (key.asset_key, key.name): records[key].event.dagster_event.asset_check_evaluation_data
        for key in keys
    }


def test_checks_judge_all_organizations_each_in_its_own_scope(installation):
    lab = installation.lab
    for organization_id, account_id in (
        (ORGANIZATION, ACCOUNT),
        (OTHER_ORGANIZATION, OTHER_ACCOUNT),
    ):
        lab.organization(organization_id)
        lab.connected(organization_id, account_id)
    lab.admin.inject_fault(OTHER_ACCOUNT, action="s3:GetAccountPublicAccessBlock")
    sync(installation, ORGANIZATION)
    sync(installation, OTHER_ORGANIZATION)
    _, evaluated = run_checks_job(installation.settings)
    assert evaluated
    with installation.instance() as instance:
        found = evaluations(instance)
    failed = {key for key, evaluation in found.items() if not evaluation.passed}
    assert failed == {(EVIDENCE_KEYS[BLOCK], AUTHORIZED)}
    metadata = found[EVIDENCE_KEYS[BLOCK], AUTHORIZED].metadata
    assert metadata["organizations"].value == 2
    assert metadata["organizations_failing"].value == 1
    (sample,) = metadata["sample"].value
    assert sample["organization_id"] == OTHER_ORGANIZATION
    assert sample["last_error_code"] == "denied"
    sentence = found[EVIDENCE_KEYS[BLOCK], AUTHORIZED].description
    assert sentence.startswith("1 of 2 connections, in 1 of 2 organizations: ")
    assert f"account {OTHER_ACCOUNT} of {OTHER_ORGANIZATION} (pending, denied)" in sentence
    assert found[EVIDENCE_KEYS[BLOCK], FRESH].passed


def test_checks_before_the_first_build_fail_with_what_to_run(installation):
    installation.lab.organization()
    with installation.lab.database.engine("admin").begin() as admin:
        # As in a new warehouse.
        admin.execute(text("drop view coverage.evidence_freshness cascade"))
    _, evaluated = run_checks_job(installation.settings)
    assert evaluated
    with installation.instance() as instance:
        found = evaluations(instance)
    assert not any(evaluation.passed for evaluation in found.values())
    assert "coverage_history" in found[EVIDENCE_KEYS[BLOCK], FRESH].description
