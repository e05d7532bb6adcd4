"""One turn of each of the daemon's tasks, by Dagster's own code."""

import logging
from datetime import datetime
from types import SimpleNamespace

from dagster import DagsterEvent
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceLoadTarget
from dagster._daemon.monitoring.run_monitoring import execute_run_monitoring_iteration
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import (
    QueuedRunCoordinatorDaemon,
)
from dagster._scheduler.scheduler import launch_scheduled_runs

from thirdsentry_pipeline.automation import launch

LOGGER = logging.getLogger("tests.daemon")


class InThisProcess(WorkspaceLoadTarget):
    """The product's code location, without a code server."""

    def create_origins(self):
        module = LoadableTargetOrigin(module_name=launch.DEFINITIONS_MODULE)
        return [InProcessCodeLocationOrigin(module, location_name=launch.LOCATION_NAME)]


def schedule(instance, moment: datetime):
    """Look at every schedule at that moment and submit what is due."""
    with WorkspaceProcessContext(instance, InThisProcess()) as workspace:
        errors = list(launch_scheduled_runs(workspace, LOGGER, moment, iteration_times={}))
    assert not any(errors), errors


def monitor(instance):
    """Look at every run that is under way."""
    process = SimpleNamespace(instance=instance, create_request_context=lambda: None)
    errors = list(execute_run_monitoring_iteration(process, LOGGER))
    assert not any(errors), errors


def queue(instance, run):
    """Put a run in the queue, as submitting it does."""
    instance.report_dagster_event(DagsterEvent.job_enqueue(run), run_id=run.run_id)


def may_start(instance):
    """The ids of the queued runs that the limits let start now."""
    daemon = QueuedRunCoordinatorDaemon(interval_seconds=1)
    runs = daemon._get_runs_to_dequeue(instance, instance.get_concurrency_config(), None)
    return [run.run_id for run in runs]
