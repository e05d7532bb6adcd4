"""The preloaded server: imports a code location once and forks a process for each run.

``python -m thirdsentry_pipeline.automation.fork_server FD`` reads requests from an inherited
socket, one JSON document a line, and answers each with the process it forked. It has one thread,
no connection to any database, no gRPC channel and no AWS client when it forks, so that nothing
is shared but code and botocore's service models. It ends when the socket's other end closes.
"""

import gc
import json
import logging
import os
import signal
import socket
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from dagster._core.definitions.reconstruct import ReconstructableJob, ReconstructableRepository
from dagster._core.instance.ref import InstanceRef
from dagster._core.origin import RepositoryPythonOrigin
from dagster._serdes import deserialize_value

from thirdsentry_pipeline.automation.fork_worker import become_worker, execute
from thirdsentry_pipeline.aws.sessions import preload_models

TASKS = Path("/proc/self/task")
NEEDED_BY_RUNS = (
    "alembic.runtime.migration",
    "dagster._core.execution.plan.execute_step",
    "dagster._core.storage.local_compute_log_manager",
    "dagster._core.storage.root",
    "dagster_postgres",
    "pandas",
    "psycopg",
    "psycopg2",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.postgresql.psycopg2",
    "tabulate",
)
"""What a run imports beyond the definitions: here once, instead of in each."""

logger = logging.getLogger(__name__)


class Preloaded:
    """One repository with everything a run of it needs, before the first fork."""

    def __init__(self, origin: RepositoryPythonOrigin) -> None:
        self.repository = ReconstructableRepository(
            origin.code_pointer,
            origin.container_image,
            origin.executable_path,
            origin.entry_point,
            origin.container_context,
        )
        self.repository.get_definition().load_all_definitions()
        for name in NEEDED_BY_RUNS:
            import_module(name)
        preload_models()

    def job(self, name: str) -> ReconstructableJob:
        """A job whose definition is made here, so that the forks inherit it."""
        job = self.repository.get_reconstructable_job(name)
        job.get_definition()
        return job


class ForkServer:
    """Answers requests until the other end of the socket closes."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._preloaded: Preloaded | None = None

    def serve(self) -> None:
        """Read requests and answer them, one after the other."""
        with self._control.makefile("rb") as requests:
            for line in requests:
                try:
                    answer = self._answer(json.loads(line))
                except Exception as error:  # the launcher says it, and the run fails with it
                    logger.exception("A run could not be started.")
                    answer = {"error": f"{type(error).__name__}: {error}"}
                self._control.sendall(json.dumps(answer).encode() + b"\n")

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        if self._preloaded is None:
            origin = deserialize_value(request["repository"], RepositoryPythonOrigin)
            self._preloaded = Preloaded(origin)
            gc.collect()
        if "run_id" not in request:
            return {"pid": os.getpid()}
        job = self._preloaded.job(request["job"])
        instance_ref = deserialize_value(request["instance"], InstanceRef)
        # Objects of now are never collected: a collection would copy every page they are on.
        gc.freeze()
        return {"pid": self._fork(job, request["run_id"], instance_ref)}

    def _fork(self, job: ReconstructableJob, run_id: str, instance_ref: InstanceRef) -> int:
        require_one_thread()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid:
            return pid
        code = 1
        try:
            become_worker()
            self._control.close()
            execute(job, run_id, instance_ref)
            code = 0
        except BaseException:  # this is the end of the process: nothing above it may go on
            logger.exception("The process of run %s ended early.", run_id)
        finally:
            # Whoever read our output may be gone: that changes nothing about the run.
            with suppress(Exception):
                logging.shutdown()
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)


def require_one_thread() -> None:
    """Refuse to fork while another thread may hold a lock that the fork would never get.

    Raises:
        RuntimeError: naming how many threads there are.
    """
    count = len(list(TASKS.iterdir())) if TASKS.is_dir() else 1
    if count != 1:
        message = f"the preloaded server has {count} threads, and a fork would copy only one"
        raise RuntimeError(message)


def main() -> None:
    """Serve on the inherited socket whose number is the only argument."""
    # Forked processes are not waited for: the system forgets them when they end.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with socket.socket(fileno=int(sys.argv[1])) as control:
        ForkServer(control).serve()


if __name__ == "__main__":
    main()
