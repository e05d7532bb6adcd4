"""Runs forked from the preloaded server, on a real instance: their lives, and their deaths."""

import json
import os
import signal
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from dagster import DagsterRunStatus
from dagster._core.definitions.reconstruct import ReconstructableJob, ReconstructableRepository
from dagster._core.launcher.base import LaunchRunContext, WorkerStatus
from dagster._core.origin import JobPythonOrigin
from psycopg import sql

from tests.daemon_turns import may_start, monitor, queue
from tests.waiting import until
from thirdsentry_pipeline.assets.evidence import STATUS_TAG
from thirdsentry_pipeline.assets.evidence_specs import EVIDENCE_KEYS
from thirdsentry_pipeline.automation import fork_launcher, kept_connections, launch
from thirdsentry_pipeline.automation.fork_launcher import ForkRunLauncher
from thirdsentry_pipeline.automation.kept_connections import keep_connections
from thirdsentry_pipeline.automation.run_workers import Presence, RunWorker
from thirdsentry_pipeline.automation.schedules import batch_request
from thirdsentry_pipeline.domain.evidence import EvidenceType
from thirdsentry_pipeline.domain.identifiers import today
from thirdsentry_pipeline.domain.time import utc_now
from thirdsentry_pipeline.partitions import ORGANIZATIONS, evidence_partitions, partition_key

pytestmark = pytest.mark.integration

ROOT = str(Path(__file__).parents[3])
REPOSITORY = ReconstructableRepository.for_module(
    "tests.integration.dagster.forked_location", "defs", ROOT
)
ORGANIZATION = {"thirdsentry/organization": "65f0a1b2c3d4e5f6a7b8c9d0"}
PRODUCT = ReconstructableRepository.for_module(launch.DEFINITIONS_MODULE, "defs")
IDS = [f"65f0a1b2c3d4e5f6a7b8c9d{number}" for number in range(3)]
ACCOUNTS = ("111111111111", "222222222222", "333333333333")
CLOSED = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
    }
)


class Forking:
    """A launcher on an instance, and what a test asks of both."""

    def __init__(self, launcher, instance):
        self.launcher = launcher
        self.instance = instance
        adopt(launcher, instance)

    def create(self, job, tags=None, repository=REPOSITORY):
        launched = ReconstructableJob(repository, job)
        return launch._create_run(self.instance, launched, job, tags or {})

    def launch(self, job, tags=None, repository=REPOSITORY):
        run = self.create(job, tags, repository)
        self.launcher.launch_run(LaunchRunContext(run, workspace=None))
        return run.run_id

    def run(self, run_id):
        return self.instance.get_run_by_id(run_id)

    def until(self, run_id, *statuses):
        until(lambda: self.run(run_id).status in statuses)
        return self.run(run_id)

    def started(self, job, tags=None):
        run = self.until(self.launch(job, tags), DagsterRunStatus.STARTED)
        return run, RunWorker.from_tags(run.tags)

    def messages(self, run_id):
        return [one.message for one in self.instance.all_logs(run_id)]

    @property
    def server(self):
        return self.launcher._servers[REPOSITORY.get_python_origin().get_id()]


def adopt(launcher, instance):
    launcher._instance_weakref = None
    launcher.register_instance(instance)


@pytest.fixture(scope="module")
def launcher():
    """One server for the module: its runs get their instance from each request."""
    made = ForkRunLauncher()
    yield made
    made.dispose()


@pytest.fixture
def forking(installation, launcher):
    with installation.instance() as instance:
        yield Forking(launcher, instance)


def test_each_run_is_a_process_of_its_own_that_sees_nothing_of_the_one_before(forking):
    runs = []
    for _ in range(2):
        run_id = forking.launch("remembering")
        runs.append(forking.until(run_id, DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE))
    assert [run.status for run in runs] == [DagsterRunStatus.SUCCESS] * 2
    assert [run.tags["seen"] for run in runs] == [run.run_id for run in runs]
    pids = {int(run.tags["pid"]) for run in runs}
    assert len(pids | {os.getpid(), forking.server.pid}) == 4
    for run in runs:
        assert run.tags["session"] == run.tags["pid"] == str(RunWorker.from_tags(run.tags).pid)
        assert f"Started process for run (pid: {run.tags['pid']})." in forking.messages(run.run_id)
    output = Path(forking.instance.root_directory, "compute_logs")
    written = [path.read_text() for path in output.rglob("*.out")]
    assert written == ["written to the compute log\n"] * 2


def test_the_server_has_one_thread_and_no_connection_when_it_forks(forking):
    forking.until(forking.launch("remembering"), DagsterRunStatus.SUCCESS)
    server = psutil.Process(forking.server.pid)
    assert server.num_threads() == 1
    assert server.net_connections() == []


def test_a_killed_worker_is_noticed_and_its_organization_is_free_again(forking):
    run, worker = forking.started("waiting", ORGANIZATION)
    next_one = forking.create("remembering", ORGANIZATION)
    queue(forking.instance, next_one)
    monitor(forking.instance)
    assert forking.run(run.run_id).status is DagsterRunStatus.STARTED
    assert may_start(forking.instance) == []
    os.kill(worker.pid, signal.SIGKILL)
    gone(worker)
    monitor(forking.instance)
    assert forking.run(run.run_id).status is DagsterRunStatus.FAILURE
    assert any(f"process {worker.pid}" in one for one in forking.messages(run.run_id))
    assert may_start(forking.instance) == [next_one.run_id]


def test_a_run_outlives_server_and_daemon_and_the_next_daemon_can_stop_it(forking):
    run, worker = forking.started("waiting")
    dead = forking.server
    os.kill(dead.pid, signal.SIGKILL)
    other = Forking(ForkRunLauncher(), forking.instance)
    assert other.launcher.check_run_worker_health(run).status is WorkerStatus.RUNNING
    assert other.launcher.terminate(run.run_id)
    stopped = forking.until(run.run_id, DagsterRunStatus.CANCELED)
    gone(worker)
    assert not other.launcher.terminate(stopped.run_id)
    # And the next run has a new server.
    adopt(forking.launcher, forking.instance)
    forking.until(forking.launch("remembering"), DagsterRunStatus.SUCCESS)
    assert forking.server.pid != dead.pid


def test_a_run_that_is_stopped_before_it_starts_never_starts(forking):
    run = forking.create("remembering")
    assert forking.launcher.terminate(run.run_id)
    forking.launcher.launch_run(LaunchRunContext(forking.run(run.run_id), workspace=None))
    stopped = forking.until(run.run_id, DagsterRunStatus.CANCELED)
    assert "seen" not in stopped.tags


def test_a_server_older_than_the_code_is_replaced(monkeypatch):
    origin = JobPythonOrigin("remembering", REPOSITORY.get_python_origin())
    launcher = ForkRunLauncher()
    server = launcher._server_for(origin, "location 1")
    assert launcher._server_for(origin, "location 1") is server
    reloaded = launcher._server_for(origin, "location 2")
    monkeypatch.setattr(fork_launcher, "code_on_disk", lambda: "edited")
    edited = launcher._server_for(origin, "location 2")
    assert len({server.pid, reloaded.pid, edited.pid}) == 3
    launcher.dispose()
    assert not any(one.is_running() for one in (server, reloaded, edited))


def test_a_run_whose_code_does_not_load_fails_with_the_reason(forking):
    repository = ReconstructableRepository.for_module("tests.integration.no_such", "defs", ROOT)
    run = forking.create("remembering")
    origin = run.job_code_origin._replace(repository_origin=repository.get_python_origin())
    with pytest.raises(Exception, match=r"No module named 'tests\.integration\.no_such'"):
        forking.launcher.launch_run(
            LaunchRunContext(run._replace(job_code_origin=origin), workspace=None)
        )


def test_a_cancelled_collection_ends_its_rows_as_well(forking, installation):
    lab = installation.lab
    lab.organization(IDS[0])
    lab.connected(IDS[0])
    # The credential report stays unfinished, so the sync waits while it is told to stop.
    lab.admin.set_credential_report(ACCOUNTS[0], polls=1000)
    forking.instance.add_dynamic_partitions(ORGANIZATIONS, IDS[:1])
    key = partition_key(today(utc_now), IDS[0])
    tags = evidence_partitions.get_tags_for_partition_key(key)
    run_id = forking.launch("aws_evidence", tags, PRODUCT)
    reading = "select count(*) from warehouse.connector_runs where status = 'running'"
    until(lambda: lab.value(reading) == 1)
    assert forking.launcher.terminate(run_id)
    forking.until(run_id, DagsterRunStatus.CANCELED)
    assert lab.value("select status from warehouse.connector_runs") == "failed"
    assert lab.value("select count(*) from warehouse.evidence_observations") == 0


def test_a_forked_batch_keeps_good_denied_and_closed_organizations_apart(forking, installation):
    lab = installation.lab
    good, denied, closed = ids = IDS
    for organization_id, account in zip(ids, ACCOUNTS, strict=True):
        lab.organization(organization_id)
        lab.connected(organization_id, account)
    lab.admin.inject_fault(ACCOUNTS[1], action="s3:GetAccountPublicAccessBlock")
    lab.admin.client("iam", ACCOUNTS[2]).update_assume_role_policy(
        RoleName="ThirdSentry", PolicyDocument=CLOSED
    )
    day = today(utc_now)
    forking.instance.add_dynamic_partitions(ORGANIZATIONS, ids)
    run_id = forking.launch("aws_evidence", batch_request(day, ids).tags, PRODUCT)
    ended = forking.until(run_id, DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE)
    assert ended.status is DagsterRunStatus.FAILURE
    assert ended.tags[STATUS_TAG] == "partial"
    rows = lab.rows("select organization_id, status from warehouse.connector_runs")
    assert {row["organization_id"]: row["status"] for row in rows} == {
        good: "succeeded",
        denied: "partial",
        closed: "failed",
    }
    read = "select organization_id, count(*) as count from warehouse.evidence group by 1"
    assert {row["organization_id"]: row["count"] for row in lab.rows(read)} == {good: 7, denied: 6}
    block = EVIDENCE_KEYS[EvidenceType.S3_PUBLIC_ACCESS_BLOCK]
    for key in EVIDENCE_KEYS.values():
        whole = {good} if key == block else {good, denied}
        partitions = forking.instance.get_materialized_partitions(key)
        assert partitions == {f"{day}|{one}" for one in whole}


def gone(worker):
    until(lambda: worker.presence() is Presence.GONE)


def test_kept_connections_that_broke_are_replaced_unseen(
    installation, postgres_server, monkeypatch
):
    monkeypatch.setattr(kept_connections, "FRESH_SECONDS", 0)
    cut = sql.SQL(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where datname = {} and state = 'idle'"
    ).format(sql.Literal(urlsplit(installation.settings.login_url("dagster")).path[1:]))
    with installation.instance() as instance:
        keep_connections(instance)
        engines = {id(one._engine) for one in (instance.run_storage, instance.event_log_storage)}
        assert len(engines) == 1
        assert instance.get_runs() == []
        (engine,) = {instance.run_storage._engine}
        assert engine.pool.checkedin() == 1
        postgres_server.execute(cut)
        assert instance.get_runs() == []
        engine.dispose()
