"""A run works for the organization of its partition key, whatever else names another one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from dagster import DagsterInvalidConfigError, DagsterRunStatus, validate_run_config

from tests.integration.operations.lab import ACCOUNT, ORGANIZATION, OTHER_ORGANIZATION
from thirdsentry_pipeline.assets.evidence import ORGANIZATION_TAG
from thirdsentry_pipeline.automation import launch
from thirdsentry_pipeline.automation.instance import PARTITION_ORGANIZATION_TAG
from thirdsentry_pipeline.definitions import defs
from thirdsentry_pipeline.domain.identifiers import today
from thirdsentry_pipeline.domain.time import utc_now
from thirdsentry_pipeline.partitions import ORGANIZATIONS, evidence_partitions, partition_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dagster import DagsterRun

    from tests.dagster_fixtures import Installation

pytestmark = pytest.mark.integration

OTHER_ACCOUNT = "222222222222"


@pytest.fixture
def two_connected(installation: Installation) -> Installation:
    """Two organizations, each with a connected account."""
    for organization_id, account in ((ORGANIZATION, ACCOUNT), (OTHER_ORGANIZATION, OTHER_ACCOUNT)):
        installation.lab.organization(organization_id)
        installation.lab.connected(organization_id, account)
    installation.lab.admin.clear_calls()
    return installation


def run(installed: Installation, organization: str, tags: Mapping[str, str]) -> DagsterRun:
    """A run of the organization's partition with more tags, as an operator can launch it."""
    with installed.instance() as instance:
        instance.add_dynamic_partitions(ORGANIZATIONS, [organization, OTHER_ORGANIZATION])
        key = partition_key(today(utc_now), organization)
        named = {**evidence_partitions.get_tags_for_partition_key(key), **tags}
        run_id, _ = launch._run(instance, "aws_evidence", tags=named)
        found = instance.get_run_by_id(run_id)
        assert found is not None
        return found


def touched(installed: Installation) -> tuple[set[Any], set[Any]]:
    """Organizations that a run wrote for, and accounts that it read."""
    written = installed.lab.rows("select distinct organization_id from warehouse.connector_runs")
    calls = installed.lab.admin.calls()
    read = {call["account_id"] for call in calls if call["service"] in ("iam", "cloudtrail", "s3")}
    return {row["organization_id"] for row in written}, read


@pytest.mark.parametrize("tag", [ORGANIZATION_TAG, "organization_id", "app.organization_id"])
def test_a_tag_that_names_another_organization_is_ignored(
    two_connected: Installation, tag: str
) -> None:
    found = run(two_connected, ORGANIZATION, {tag: OTHER_ORGANIZATION})
    assert touched(two_connected) == ({ORGANIZATION}, {ACCOUNT})
    assert found.tags[ORGANIZATION_TAG] == ORGANIZATION


def test_a_partition_under_two_names_is_refused(two_connected: Installation) -> None:
    """Dagster would show the one organization and read the other."""
    found = run(two_connected, ORGANIZATION, {PARTITION_ORGANIZATION_TAG: OTHER_ORGANIZATION})
    assert found.status is DagsterRunStatus.FAILURE
    assert touched(two_connected) == (set(), set())


@pytest.mark.parametrize(
    "config",
    [
        {"ops": {"read_aws_evidence": {"config": {"organization_id": OTHER_ORGANIZATION}}}},
        {"ops": {"read_aws_evidence": {"inputs": {"organization": OTHER_ORGANIZATION}}}},
        {"resources": {"warehouse": {"config": {"organization_id": OTHER_ORGANIZATION}}}},
        {"resources": {"keys": {"config": {"organization_id": OTHER_ORGANIZATION}}}},
    ],
    ids=["op", "input", "warehouse", "keys"],
)
def test_run_config_that_names_an_organization_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(DagsterInvalidConfigError):
        validate_run_config(defs.resolve_job_def("aws_evidence"), config)


@pytest.mark.parametrize(
    "organization",
    ["f" * 24, "' or '1'='1", f"{ORGANIZATION},{OTHER_ORGANIZATION}"],
    ids=["unknown", "quotes", "two"],
)
def test_a_partition_of_no_organization_reads_and_writes_nothing(
    two_connected: Installation, organization: str
) -> None:
    found = run(two_connected, organization, {ORGANIZATION_TAG: ORGANIZATION})
    assert found.status is DagsterRunStatus.FAILURE
    assert touched(two_connected) == (set(), set())
