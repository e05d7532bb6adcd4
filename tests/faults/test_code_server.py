"""A code server that dies alone, while the daemon lives and goes on."""

import os
import signal
import sys
from collections import Counter
from contextlib import contextmanager
from datetime import datetime, time, timedelta
from threading import Thread

import psycopg
import pytest
from dagster import DagsterRunStatus
from dagster._core.remote_origin import ManagedGrpcPythonEnvCodeLocationOrigin
from dagster._core.scheduler.instigation import TickStatus
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceLoadTarget
from dagster._daemon.controller import create_daemon_grpc_server_registry
from dagster._scheduler import scheduler

from tests.daemon_turns import LOGGER
from tests.faults.figures import REPOSITORY
from tests.integration.lifecycle.test_revoking import until
from thirdsentry_pipeline.assets.evidence import ORGANIZATION_TAG
from thirdsentry_pipeline.automation import launch
from thirdsentry_pipeline.domain.time import utc_now

pytestmark = [pytest.mark.integration, pytest.mark.long]

IDS = [f"65f0a1b2c3d4e5f6a7b8c9d{number}" for number in range(4)]
WAITS = """
    select count(*) from pg_locks as l
    inner join pg_stat_activity as a using (pid)
    where a.datname = current_database() and not l.granted
"""
SECONDS = 120


class InAServer(WorkspaceLoadTarget):
    """The product's code location in a server of its own, as a daemon has it."""

    def create_origins(self):
        target = LoadableTargetOrigin(
            executable_path=sys.executable,
            module_name="tests.faults.guarded_location",
            working_directory=str(REPOSITORY),
        )
        return [ManagedGrpcPythonEnvCodeLocationOrigin(target, launch.LOCATION_NAME)]


class Daemon:
    """This process as a daemon: its registry of code servers, its workspace, its scheduler."""

    def __init__(self, instance, registry, workspace):
        self.instance = instance
        self.registry = registry
        self.workspace = workspace
        self.iteration_times = {}

    def tick(self, moment):
        """The scheduler's turn at that moment; the errors that it goes on after."""
        turn = scheduler.launch_scheduled_runs(
            self.workspace, LOGGER, moment, iteration_times=self.iteration_times
        )
        return [one for one in turn if one is not None]

    def kill_the_server(self):
        """End the code server as the kernel does without memory; the pid of what is gone."""
        process = self.registry._all_processes[-1].server_process
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        return process.pid

    def look_at_the_workspace(self):
        """What the daemon's controller does every minute."""
        self.registry.clear_all_grpc_endpoints()
        self.workspace.refresh_workspace()

    def last_tick(self):
        (location,) = self.workspace.create_request_context().code_locations
        (repository,) = location.get_repositories().values()
        schedule = repository.get_schedule("aws_evidence_daily")
        (tick,) = self.instance.get_ticks(
            schedule.get_remote_origin_id(), schedule.selector_id, limit=1
        )
        return tick


@pytest.fixture
def daemon(installation, removed_guard):
    """A daemon whose four organizations are due, and that saw its schedules before."""
    for number, organization_id in enumerate(IDS, start=1):
        installation.lab.organization(organization_id)
        installation.lab.connected(organization_id, str(number) * 12)
    with (
        installation.instance() as instance,
        create_daemon_grpc_server_registry(instance, "WARNING") as registry,
        WorkspaceProcessContext(instance, InAServer(), grpc_server_registry=registry) as workspace,
    ):
        made = Daemon(instance, registry, workspace)
        made.database = installation.lab.database
        assert made.tick(due() - timedelta(minutes=30)) == []
        yield made


def due():
    return datetime.combine(utc_now().date(), time(2), utc_now().tzinfo)


@contextmanager
def killed_while_it_is_asked(daemon, _monkeypatch):
    """The schedule waits for the warehouse, and its process dies meanwhile."""
    with psycopg.connect(daemon.database.admin_url) as admin:
        admin.execute("lock table warehouse.organizations in access exclusive mode")

        def kill():
            with psycopg.connect(daemon.database.admin_url, autocommit=True) as watcher:
                until(lambda: watcher.execute(WAITS).fetchone() != (0,), SECONDS)
            daemon.kill_the_server()

        killer = Thread(target=kill)
        killer.start()
        yield
        killer.join()


@contextmanager
def killed_between_two_runs(daemon, monkeypatch):
    """The schedule has answered, and the second run is not made yet."""
    real, made = scheduler._create_scheduler_run, []

    def create(*arguments):
        if len(made) == 1:
            daemon.kill_the_server()
        made.append(real(*arguments))
        return made[-1]

    with monkeypatch.context() as patch:
        patch.setattr(scheduler, "_create_scheduler_run", create)
        yield
    assert made


MOMENTS = {
    "while it is asked": killed_while_it_is_asked,
    "between two runs": killed_between_two_runs,
}


@pytest.mark.fault(12)
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_code_server_that_dies_alone_costs_no_organization_its_run(daemon, monkeypatch, moment):
    with MOMENTS[moment](daemon, monkeypatch):
        errors = daemon.tick(due() + timedelta(seconds=30))
    assert errors
    assert daemon.last_tick().status is TickStatus.FAILURE
    # The server is gone still, and the daemon tries again, however often.
    assert daemon.tick(due() + timedelta(seconds=90))
    daemon.look_at_the_workspace()
    for minutes in (3, 4):
        assert daemon.tick(due() + timedelta(minutes=minutes)) == []
        runs = daemon.instance.get_runs()
        assert Counter(run.tags[ORGANIZATION_TAG] for run in runs) == Counter(IDS)
        assert {run.status for run in runs} == {DagsterRunStatus.QUEUED}
        assert daemon.last_tick().status is TickStatus.SUCCESS
