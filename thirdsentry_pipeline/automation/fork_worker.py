"""What the fork of a preloaded server does: one run, in a process that ends with it."""

import gc
import logging
import os
import signal
import sys

import dagster as dg
from dagster._core.definitions.reconstruct import ReconstructableJob
from dagster._core.events import EngineEventData
from dagster._core.instance.ref import InstanceRef
from dagster._grpc.impl import core_execute_run
from dagster._utils.error import serializable_error_info_from_exc_info
from dagster._utils.interrupts import capture_interrupts

from thirdsentry_pipeline.automation.kept_connections import keep_connections
from thirdsentry_pipeline.automation.run_workers import own_worker

logger = logging.getLogger(__name__)


def become_worker() -> None:
    """Leave the server behind: a session and process group of its own, signals as Python's."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.close(nothing)
    gc.enable()


def execute(job: ReconstructableJob, run_id: str, instance_ref: InstanceRef) -> None:
    """Execute a run as Dagster's own worker does; what goes wrong is in the run's log."""
    with capture_interrupts(), dg.DagsterInstance.from_ref(instance_ref) as instance:
        keep_connections(instance)
        run = instance.get_run_by_id(run_id)
        if run is None:
            logger.error("There is no run %s: it was deleted before its process started.", run_id)
            return
        try:
            # Before the run starts: whoever finds it started finds its process as well.
            instance.add_run_tags(run_id, own_worker().as_tags())
            if is_cancelled(instance, run_id):
                return
            pid = os.getpid()
            started = f"Started process for run (pid: {pid})."
            instance.report_engine_event(started, run, EngineEventData.in_process(pid))
        except Exception:  # whatever it was, the run must not wait for a worker
            error = serializable_error_info_from_exc_info(sys.exc_info())
            instance.report_engine_event(
                "The run's process could not start its work.",
                run,
                EngineEventData.engine_error(error),
            )
            instance.report_run_failed(run)
            raise
        try:
            for _ in core_execute_run(job, run, instance, inject_env_vars=True):
                pass
        finally:
            instance.report_engine_event(f"Process for run exited (pid: {pid}).", run)


def is_cancelled(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Whether somebody stopped the run before it had a process that could be told."""
    run = instance.get_run_by_id(run_id)
    if run is None or run.is_finished:
        return True
    if run.status is dg.DagsterRunStatus.CANCELING:
        instance.report_run_canceled(run, "The run was stopped before it started.")
        return True
    return False
