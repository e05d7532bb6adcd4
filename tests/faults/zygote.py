"""The process that victims are forked from: everything is imported, nothing is connected.

Reads one JSON request per line (``environment``, ``job``, ``step``, ``output``), answers each
with the victim's process id, and reports how each victim ended.
"""

import json
import os
import resource
import select
import sys
import traceback

import pytest

from tests.faults import jobs, steps
from tests.faults.guards import apply_to_process

POLL_SECONDS = 0.02


def main():
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
    for name, limit in request["limits"].items():
        resource.setrlimit(getattr(resource, name), (limit, limit))
    apply_to_process(pytest.MonkeyPatch())
    if request["step"] is not None:
        steps.STEPS[request["step"]].install()


if __name__ == "__main__":
    main()
