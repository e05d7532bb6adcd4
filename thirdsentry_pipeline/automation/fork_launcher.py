"""A Dagster run launcher that forks each run from a preloaded process.

Dagster's own launcher starts a Python per run that imports everything again, which is most of
what a run of one organization costs. Here a server per code location imports it once and forks.
The run is a process of its own as before; it outlives the server, the daemon and the UI.
"""

import os
import signal
import sys
import threading
from collections.abc import Mapping
from typing import Any, Self

from dagster._core.launcher.base import (
    CheckRunHealthResult,
    LaunchRunContext,
    RunLauncher,
    WorkerStatus,
)
from dagster._core.origin import JobPythonOrigin
from dagster._core.storage.dagster_run import DagsterRun
from dagster._core.workspace.context import BaseWorkspaceRequestContext
from dagster._serdes import ConfigurableClass, ConfigurableClassData, serialize_value

from thirdsentry_pipeline.automation.fork_process import ForkProcess, code_on_disk
from thirdsentry_pipeline.automation.kept_connections import keep_connections
from thirdsentry_pipeline.automation.run_workers import Presence, RunWorker
from thirdsentry_pipeline.domain.errors import ConfigurationError, ThirdSentryError


def can_fork() -> bool:
    """Whether forks of a process that has loaded libraries are safe here: on Linux they are."""
    return sys.platform == "linux" and hasattr(os, "fork")


class ForkRunLauncher(RunLauncher[Any], ConfigurableClass):
    """Starts runs of code locations that are on this machine; has no configuration.

    Raises:
        ConfigurationError: this system can't fork.
    """

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        if not can_fork():
            message = (
                "ForkRunLauncher needs Linux: take run_launcher out of dagster.yaml to use "
                "Dagster's own launcher."
            )
            raise ConfigurationError(message)
        self._inst_data = inst_data
        self._lock = threading.Lock()
        self._keeps_connections = False
        self._servers: dict[str, ForkProcess] = {}
        super().__init__()  # type: ignore[no-untyped-call]  # Dagster's is not annotated

    @property
    def inst_data(self) -> ConfigurableClassData | None:
        """What ``dagster.yaml`` says about this launcher."""
        return self._inst_data

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """No fields."""
        return {}

    @classmethod
    def from_config_value(
        cls,
        inst_data: ConfigurableClassData,
        config_value: Mapping[str, Any],  # noqa: ARG003 - Dagster's signature
    ) -> Self:
        """Make the launcher that ``dagster.yaml`` asks for."""
        return cls(inst_data=inst_data)

    def launch_run(self, context: LaunchRunContext) -> None:
        """Fork the run's process; returns once it exists.

        Raises:
            ThirdSentryError: it could not be forked; Dagster marks the run as failed.
        """
        run = context.dagster_run
        origin = run.job_code_origin
        if origin is None:
            message = f"Run {run.run_id} does not say which code it runs."
            raise ThirdSentryError(message)
        request = {
            "run_id": run.run_id,
            "job": origin.job_name,
            "repository": serialize_value(origin.repository_origin),
            "instance": serialize_value(self._instance.get_ref()),
        }
        # One at a time: a fork takes milliseconds, and a server that has to start serves all.
        with self._lock:
            self._keep_connections()
            server = self._server_for(origin, location_server(context.workspace, run))
            answer = server.ask(request)
        if "error" in answer:
            message = f"The run's process could not be forked: {answer['error']}."
            raise ThirdSentryError(message)

    def _keep_connections(self) -> None:
        """Once per process that launches runs, which is the daemon: each costs it many queries."""
        if not self._keeps_connections:
            keep_connections(self._instance)
            self._keeps_connections = True

    def _server_for(self, origin: JobPythonOrigin, location: str) -> ForkProcess:
        """The location's server, a new one when it died or is older than the code it stands for.

        Older means: a file of the package or of the dbt project changed since it was started,
        something was installed, or the location's own server is another one. So a run never
        has older code than the location that the UI shows, whoever reloaded it.
        """
        key = origin.repository_origin.get_id()
        version = f"{location} {code_on_disk()}"
        server = self._servers.get(key)
        if server is None or server.version != version or not server.is_running():
            if server is not None:
                server.close()
            server = ForkProcess(origin.executable_path, version)
            self._servers[key] = server
        return server

    def terminate(self, run_id: str) -> bool:
        """Interrupt the run's process; whether there was one, or one to come, to be stopped."""
        run = self._instance.get_run_by_id(run_id) if self.has_instance else None
        if run is None or run.is_finished:
            return False
        worker = RunWorker.from_tags(run.tags)
        presence = worker.presence() if worker else None
        if worker and presence is Presence.ELSEWHERE:
            self._instance.report_engine_event(
                f"The run's worker, {worker}, can only be stopped from that host.", run
            )
            return False
        self._instance.report_run_canceling(run)
        if presence is Presence.GONE:
            self._instance.report_run_canceled(run, f"The run's worker, {worker}, was gone.")
        elif worker:
            os.kill(worker.pid, signal.SIGINT)
        return True

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Run monitoring asks, and so ends the run of a process that was killed."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Look whether the run's process is there.

        A run without a known process, or with one on another host, counts as running: what
        ends it then is ``dagster/max_runtime``.
        """
        worker = RunWorker.from_tags(run.tags)
        if worker is None:
            return CheckRunHealthResult(WorkerStatus.RUNNING, "Its process is not known.")
        presence = worker.presence()
        if presence is Presence.GONE:
            return CheckRunHealthResult(
                WorkerStatus.FAILED,
                f"The run's worker, {worker}, is gone and did not end the run",
                run_worker_id=str(worker.pid),
            )
        return CheckRunHealthResult(
            WorkerStatus.RUNNING,
            "It can't be seen from here." if presence is Presence.ELSEWHERE else None,
            run_worker_id=str(worker.pid),
        )

    def dispose(self) -> None:
        """End the servers; the runs they forked go on."""
        with self._lock:
            while self._servers:
                self._servers.popitem()[1].close()


def location_server(workspace: BaseWorkspaceRequestContext | None, run: DagsterRun) -> str:
    """Which code server the run's location is loaded from at the moment, where it says."""
    origin = run.remote_job_origin
    if workspace is None or origin is None:
        return ""
    location = workspace.get_code_location(origin.location_name)
    return str(getattr(location, "server_id", None) or "")
