"""A scheduler that dies in the middle of a tick, and a worker that Dagster believes alive."""

from collections import Counter
from datetime import datetime, time, timedelta

import psycopg
import pytest
from dagster import DagsterRunStatus, RunsFilter
from dagster._core.definitions.reconstruct import ReconstructableJob, ReconstructableRepository
from dagster._core.storage.tags import RUN_KEY_TAG

from tests.daemon_turns import may_start, monitor, queue
from tests.faults.steps import TICK, parameters
from tests.integration.operations.lab import ORGANIZATION
from thirdsentry_pipeline.assets.evidence import ORGANIZATION_TAG
from thirdsentry_pipeline.automation import launch
from thirdsentry_pipeline.automation.run_workers import WORKER_TAG, RunWorker
from thirdsentry_pipeline.domain.time import utc_now
from thirdsentry_pipeline.operations.sweeping import sweep_organizations

pytestmark = pytest.mark.integration

KILLED = -9
IDS = [f"65f0a1b2c3d4e5f6a7b8c9d{number}" for number in range(4)]
TWO_HOURS_AGO = "update runs set start_time = start_time - 7200 where run_id = %s"


@pytest.fixture
def four_organizations(installation):
    """Each has a connection that is due; the scheduler saw its schedules half an hour ago."""
    for number, organization_id in enumerate(IDS, start=1):
        installation.lab.organization(organization_id)
        installation.lab.connected(organization_id, str(number) * 12)
    return installation


@pytest.mark.fault(12)
@pytest.mark.parametrize("step", parameters(TICK))
def test_killed_in_a_tick_the_scheduler_goes_on_and_runs_each_organization_once(
    four_organizations, zygote, step
):
    due = datetime.combine(utc_now().date(), time(2), utc_now().tzinfo)

    def turn(after_due, **options):
        return zygote.start("tick", (due + after_due).isoformat(), **options)

    first = turn(timedelta(minutes=-30))
    assert first.wait() == 0, first.said()
    victim = turn(timedelta(seconds=30), step=step)
    assert victim.wait() == KILLED, victim.said()
    with four_organizations.instance() as instance:
        assert len(instance.get_runs()) <= len(IDS)
        for minutes in (2, 3):
            after = turn(timedelta(minutes=minutes))
            assert after.wait() == 0, after.said()
            runs = instance.get_runs()
            assert Counter(run.tags[ORGANIZATION_TAG] for run in runs) == Counter(IDS)
            assert {run.status for run in runs} == {DagsterRunStatus.QUEUED}
            assert {run.tags[RUN_KEY_TAG] for run in runs} == {f"{one}:{due.date()}" for one in IDS}


@pytest.mark.fault(14)
@pytest.mark.parametrize(
    "seen_from", ["its own host", pytest.param("another host", marks=pytest.mark.long)]
)
def test_a_dead_worker_of_a_started_run_ends_and_frees_its_organization(town, seen_from):
    abandoned = town.runs("abandoned")
    victim = town.victim(step="in the open role")
    assert victim.wait() == KILLED, victim.said()
    with town.instance() as instance:
        (dead,) = instance.get_runs(limit=1)
        assert dead.status is DagsterRunStatus.STARTED
        assert RunWorker.from_tags(dead.tags).pid == victim.pid
        if seen_from == "another host":
            # Nobody can look there: what ends it is the longest time that a run may take.
            moved = dead.tags[WORKER_TAG].replace('"host": "', '"host": "not-')
            instance.add_run_tags(dead.run_id, {WORKER_TAG: moved})
            with psycopg.connect(town.settings().login_url("dagster")) as database:
                database.execute(TWO_HOURS_AGO, (dead.run_id,))
        waiting = queued(instance)
        assert may_start(instance) == []
        monitor(instance)
        assert instance.get_run_by_id(dead.run_id).status is DagsterRunStatus.FAILURE
        assert may_start(instance) == [waiting.run_id]
        instance.delete_run(waiting.run_id)
        under_way = [DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]
        assert instance.get_runs(RunsFilter(statuses=under_way)) == []
    services = town.lab.services
    assert town.runs("running") == 1
    assert len(sweep_organizations(services.pipeline, services.scheduler)) == 1
    assert (town.runs("running"), town.runs("abandoned")) == (0, abandoned + 1)
    town.heal()


def queued(instance):
    """One more run of the first organization, in the queue."""
    repository = ReconstructableRepository.for_module(launch.DEFINITIONS_MODULE, "defs")
    job = ReconstructableJob(repository, "evidence_checks")
    run = launch._create_run(instance, job, "evidence_checks", {ORGANIZATION_TAG: ORGANIZATION})
    queue(instance, run)
    return run
