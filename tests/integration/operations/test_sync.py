"""A sync against the sandbox over HTTP and a real Postgres."""

import pytest

from tests.integration.operations.lab import ORGANIZATION
from thirdsentry_pipeline.domain.evidence import EvidenceType
from thirdsentry_pipeline.domain.identifiers import today
from thirdsentry_pipeline.operations.sync import sync_organization
from thirdsentry_pipeline.operations.sync_results import SyncStatus

pytestmark = pytest.mark.integration

ALL = tuple(EvidenceType)


def sync(lab, types=ALL, organization_id=ORGANIZATION, **more):
    day = today(lab.services.clock)
    return sync_organization(lab.services, organization_id, day, types, "dagster-run", **more)


def test_a_sync_records_every_type_with_one_audit_row(organization_lab):
    lab = organization_lab
    lab.connected()
    seen = []
    outcome = sync(lab, on_progress=seen.append)
    assert outcome.status is SyncStatus.SUCCEEDED
    (one,) = outcome.connections
    assert seen == [one]
    assert set(one.evidence) == set(ALL)
    assert all(result.is_new and result.fingerprint for result in one.evidence.values())
    assert one.api_calls > len(ALL)
    assert lab.value("select count(*) from warehouse.evidence") == len(ALL)
    assert lab.value("select count(*) from warehouse.evidence_observations") == len(ALL)
    assert lab.value("select status from warehouse.connector_runs") == "succeeded"
    assert lab.value("select count(*) from warehouse.audit_log where action = 'sync'") == 1


def test_a_second_sync_adds_observations_and_no_evidence(organization_lab):
    lab = organization_lab
    lab.connected()
    sync(lab)
    outcome = sync(lab)
    assert not any(result.is_new for result in outcome.connections[0].evidence.values())
    assert lab.value("select count(*) from warehouse.evidence") == len(ALL)
    assert lab.value("select count(*) from warehouse.evidence_observations") == 2 * len(ALL)
