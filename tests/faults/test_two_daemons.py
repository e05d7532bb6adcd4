"""Two daemons on one Dagster database that tick, collect and alert at the same instant."""

from collections import Counter
from datetime import datetime, time, timedelta

import pytest
from dagster import DagsterEvent, DagsterEventType

from tests.faults.steps import MEETING
from tests.integration.alerts.conftest import receiving
from tests.integration.operations.lab import ACCOUNT
from thirdsentry_pipeline.assets.evidence import ORGANIZATION_TAG
from thirdsentry_pipeline.domain.time import utc_now

pytestmark = [pytest.mark.integration, pytest.mark.long]

IDS = [f"65f0a1b2c3d4e5f6a7b8c9d{number}" for number in range(3)]
CLOSED = IDS[0]
SHUT = (
    '{"Version": "2012-10-17", "Statement":'
    ' [{"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]}'
)
RUNS = "select organization_id, status from warehouse.connector_runs"
FACTS = """
    select organization_id, count(*) as facts, count(distinct evidence_type) as types
    from warehouse.evidence group by 1
"""
TRIED = "select organization_id, status, failed_attempts from warehouse.connections"
TOLD = "select kind, count(*) as alerts from warehouse.alerts group by 1"


@pytest.fixture
def three_organizations(installation):
    """All are due, and the role of the first was closed after it was connected."""
    for number, organization_id in enumerate(IDS, start=1):
        installation.lab.organization(organization_id)
        installation.lab.connected(organization_id, str(number) * 12)
    iam = installation.lab.admin.client("iam", ACCOUNT)
    iam.update_assume_role_policy(RoleName="ThirdSentry", PolicyDocument=SHUT)
    return installation


@pytest.fixture
def at_once(zygote, tmp_path):
    """Run a job in two processes that meet at a step."""
    meetings = iter(range(100))

    def run(step, *jobs, environment=None):
        place = tmp_path / f"meeting-{next(meetings)}"
        place.mkdir()
        both = [
            zygote.start(
                *job,
                step=step,
                act="meet",
                environment={**(environment or {}), MEETING: str(place)},
            )
            for job in jobs
        ]
        return [(victim.wait(), victim.said()) for victim in both]

    return run


@pytest.mark.fault(11)
def test_two_daemons_at_the_same_instant_add_no_fact_and_no_alert(
    three_organizations, zygote, at_once, removed_guard
):
    lab = three_organizations.lab
    due = datetime.combine(utc_now().date(), time(2), utc_now().tzinfo)
    seen = zygote.start("tick", (due - timedelta(minutes=30)).isoformat())
    assert seen.wait() == 0, seen.said()
    tick = ("tick", (due + timedelta(seconds=30)).isoformat())
    for code, said in at_once("before each run is created", tick, tick):
        assert code == 0, said
    with three_organizations.instance() as instance:
        runs = instance.get_runs()
        assert Counter(run.tags[ORGANIZATION_TAG] for run in runs) == Counter(IDS * 2)
        for run in runs:
            let_go(instance, run)
    for organization_id in IDS:
        twins = [run for run in runs if run.tags[ORGANIZATION_TAG] == organization_id]
        ended = at_once("before the run's step", *(("launched", run.run_id) for run in twins))
        for code, said in ended:
            assert code == (organization_id == CLOSED), said

    statuses = Counter((row["organization_id"], row["status"]) for row in lab.rows(RUNS))
    assert statuses == {(CLOSED, "failed"): 2, (IDS[1], "succeeded"): 2, (IDS[2], "succeeded"): 2}
    assert {tuple(row.values()) for row in lab.rows(TRIED)} == {
        (CLOSED, "needs_reauth", 1),
        (IDS[1], "active", 0),
        (IDS[2], "active", 0),
    }
    assert [(row["facts"], row["types"]) for row in lab.rows(FACTS)] == [(7, 7)] * 2
    with receiving() as receiver:
        there = {"THIRDSENTRY_ALERT_WEBHOOK_URL": receiver.url}
        # Both have found the episode unknown, and neither has stored its alert.
        looks = at_once(
            "before the alert is stored", ("alerts", ""), ("alerts", ""), environment=there
        )
        for code, said in looks:
            assert code == 0, said
        assert lab.rows(TOLD) == [{"kind": "needs_reauth", "alerts": 1}]
        assert len(receiver.got) == 1


def let_go(instance, run):
    """Take a run out of the queue, as the daemon does before it launches it."""
    starting = DagsterEvent(DagsterEventType.PIPELINE_STARTING.value, run.job_name)
    instance.report_dagster_event(starting, run_id=run.run_id)
