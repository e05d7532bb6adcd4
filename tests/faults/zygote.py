"""The process that victims are forked from: everything is imported, nothing is connected.

Reads one JSON request per line (``environment``, ``job``, ``step``, ``output``), answers each
with the victim's process id, and reports how each victim ended.
"""

import gc
import importlib
import json
import os
import select
import sys
import traceback

import pytest

from tests.faults import jobs, steps
from tests.faults.guards import apply_to_process
from thirdsentry_pipeline.automation import launch
from thirdsentry_pipeline.aws.sessions import PlatformAws, SessionCredentials

POLL_SECONDS = 0.02
# What a first run imports on its way; a victim should find it there.
ON_THE_WAY = """
    dagster._core.execution.plan.active dagster._core.executor.in_process
    dagster._core.instance.factory dagster._core.launcher.default_run_launcher
    dagster._core.secrets.env_file dagster._core.storage.base_storage
    dagster._core.storage.event_log dagster._core.storage.local_compute_log_manager
    dagster._core.storage.root dagster._daemon.daemon dagster_postgres pandas psycopg2.extras
    sqlalchemy.dialects.postgresql.psycopg sqlalchemy.dialects.postgresql.psycopg2
    thirdsentry_pipeline.definitions upath.implementations.local
"""
SERVICES = ("cloudtrail", "ec2", "guardduty", "iam", "s3control")


def warm_up():
    """Import and load all that is the same in every victim, without a connection or a thread."""
    for module in ON_THE_WAY.split():
        importlib.import_module(module)
    launch.ReconstructableRepository.for_module(
        launch.DEFINITIONS_MODULE, "defs"
    ).get_definition().get_all_jobs()
    platform = PlatformAws(endpoint_url="http://127.0.0.1:9", region="us-east-1")
    nobody = SessionCredentials("nobody", "nothing", "never")
    transport = platform.new_transport()
    for service in SERVICES:
        platform.client(service, "us-east-1", nobody, transport=transport)
    transport.close()
    gc.freeze()


def main():
    warm_up()
    requests = os.fdopen(os.dup(0), "rb", buffering=0)
    waiting = b""
    say(ready=os.getpid())
    while True:
        readable, _, _ = select.select([requests], [], [], POLL_SECONDS)
        if readable:
            read = requests.read(65536)
            if not read:
                return
            waiting += read
            *lines, waiting = waiting.split(b"\n")
            for line in lines:
                say(started=fork(json.loads(line)))
        reap()


def say(**document):
    os.write(1, json.dumps(document).encode() + b"\n")


def reap():
    while True:
        try:
            process, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not process:
            return
        say(ended=process, code=os.waitstatus_to_exitcode(status))


def fork(request):
    process = os.fork()
    if process:
        return process
    code = 70
    try:
        become(request)
        code = jobs.JOBS[request["job"]](*request["arguments"])
    except BaseException:  # noqa: BLE001 - a victim's end is told by its exit code and output
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code or 0)


def become(request):
    """A process of its own: environment, output, session, limits, and where it will die."""
    os.setsid()
    os.environ.clear()
    os.environ.update(request["environment"])
    with open(request["output"], "ab") as output, open(os.devnull, "rb") as nothing:  # noqa: PTH123 - descriptors
        os.dup2(nothing.fileno(), 0)
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    apply_to_process(pytest.MonkeyPatch())
    steps.keep_journal()
    if request["step"] is not None:
        steps.STEPS[request["step"]].install(steps.ACTS[request["act"]])


if __name__ == "__main__":
    main()
