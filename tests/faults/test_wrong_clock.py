"""A worker that lives three days ago, or in three days."""

import sys
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.integration.operations.lab import ORGANIZATION
from thirdsentry_pipeline.automation import launch
from thirdsentry_pipeline.domain.evidence import EvidenceType
from thirdsentry_pipeline.domain.identifiers import today
from thirdsentry_pipeline.domain.time import utc_now
from thirdsentry_pipeline.operations.sync import sync_organization

pytestmark = pytest.mark.integration

TYPES = tuple(EvidenceType)
A_DAY = 86_400
WRITTEN = """
    select (select count(*) from warehouse.connector_runs)
      + (select count(*) from warehouse.evidence_observations)
"""
FURTHEST = """
    select max(abs(extract(epoch from clock_timestamp() - moment))) from (
      select observed_at as moment from warehouse.evidence_observations
      union all select started_at from warehouse.connector_runs
      union all select finished_at from warehouse.connector_runs
      union all select first_observed_at from warehouse.evidence
      union all select last_attempt_at from warehouse.evidence_state
      union all select occurred_at from warehouse.audit_log
    ) as moments
"""


@pytest.mark.fault(17)
@pytest.mark.parametrize("days", [-3, 3])
def test_a_worker_three_days_off_writes_nothing_of_its_own_time(town, days, monkeypatch):
    lab = town.lab
    before = lab.value(WRITTEN)

    def wrong():
        return utc_now() + timedelta(days=days)

    with monkeypatch.context() as elsewhere:
        for name, module in list(sys.modules.items()):
            if (
                name.startswith("thirdsentry_pipeline.")
                and getattr(module, "utc_now", 0) is utc_now
            ):
                elsewhere.setattr(module, "utc_now", wrong)
        _, success = launch.run_evidence_job(town.settings(), ORGANIZATION, today(wrong), TYPES)
    assert not success
    assert lab.value(WRITTEN) == before
    # And past that refusal: what is recorded is dated by Postgres.
    services = replace(lab.services, clock=wrong)
    done = sync_organization(services, ORGANIZATION, today(utc_now), TYPES, "elsewhere")
    assert done.status == "succeeded"
    assert lab.value(FURTHEST) < A_DAY
    town.heal()
