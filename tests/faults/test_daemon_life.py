"""Hundreds of syncs in one real daemon: what it and its servers hold levels off."""

from statistics import mean, median

import pytest
from dagster import DagsterRunStatus, RunsFilter
from dagster._core.definitions.reconstruct import ReconstructableJob, ReconstructableRepository

from tests.daemon_turns import queue
from tests.faults.real_daemon import real_daemon
from tests.faults.town import PEOPLE
from tests.integration.lifecycle.test_revoking import until
from thirdsentry_pipeline.automation import launch
from thirdsentry_pipeline.automation.schedules import batch_request, run_request
from thirdsentry_pipeline.domain.identifiers import today
from thirdsentry_pipeline.domain.time import utc_now
from thirdsentry_pipeline.partitions import ORGANIZATIONS, evidence_partitions

pytestmark = [
    pytest.mark.integration,
    pytest.mark.long,
    pytest.mark.minutes,
    pytest.mark.timeout(3600),
]

CONNECTIONS = "select count(*) from pg_stat_activity where datname in (:town, :dagster)"
SYNCS_IN_A_ROUND = 4
ROUND_SECONDS = 600
ENOUGH_FOR_MEMORY = 20
# Each minute the daemon loads its code location anew, while the old server still runs: that is
# in some of the samples, longer the busier the machine is. What leaks is in all that follow.
WHILE_IT_RELOADS = {"files": 8, "threads": 8, "connections": 4}
MOST_SERVERS = 3
LARGEST_GROWTH = 10.0


def test_what_a_daemon_and_its_servers_hold_levels_off(town, pytestconfig, record_property):
    syncs = pytestconfig.getoption("--rounds")
    rounds = max(syncs // SYNCS_IN_A_ROUND, 3)
    with town.instance() as instance, real_daemon(town.settings(), town.environment) as daemon:
        for _ in range(rounds):
            collect(instance, daemon)
            daemon.sample(connections=connections(town))
        (server,) = daemon.servers("code server")[-1:]
        server.kill()
        collect(instance, daemon)
        assert daemon.process.is_running()
    record_property("rounds", SYNCS_IN_A_ROUND * rounds)
    for name, held in daemon.held.items():
        if name.endswith("megabytes"):
            if rounds >= ENOUGH_FOR_MEMORY:
                quarter = rounds // 4
                growth = mean(held[-quarter:]) - mean(held[quarter : 2 * quarter])
                assert growth < LARGEST_GROWTH, (name, held)
        elif name.endswith("processes"):
            assert max(held) <= MOST_SERVERS, (name, held)
        else:
            more = WHILE_IT_RELOADS[name.rpartition(" ")[2]]
            assert median(held[rounds // 2 :]) <= held[0] + more, (name, held)
            assert max(held[rounds // 2 :]) <= held[0] + 2 * more, (name, held)
    town.heal()


def connections(town):
    return town.lab.value(CONNECTIONS, town=town.lab.database.name, dagster=town.dagster)


def collect(instance, daemon):
    """A run for each organization and one for both: four syncs in three processes."""
    day, ids = today(utc_now), sorted(PEOPLE)
    instance.add_dynamic_partitions(ORGANIZATIONS, ids)
    requests = [*(run_request(day, one) for one in ids), batch_request(day, ids)]
    asked = RunsFilter(run_ids=[put_in_the_queue(instance, one).run_id for one in requests])
    until(lambda: all(run.is_finished for run in instance.get_runs(asked)), ROUND_SECONDS)
    statuses = {run.status for run in instance.get_runs(asked)}
    assert statuses == {DagsterRunStatus.SUCCESS}, daemon.last_words()
    until(lambda: not daemon.workers())


def put_in_the_queue(instance, request):
    repository = ReconstructableRepository.for_module(launch.DEFINITIONS_MODULE, "defs")
    job = ReconstructableJob(repository, "aws_evidence")
    tags = dict(request.tags)
    if request.partition_key is not None:
        tags |= evidence_partitions.get_tags_for_partition_key(request.partition_key)
    run = launch._create_run(instance, job, "aws_evidence", tags)
    queue(instance, run)
    return run
