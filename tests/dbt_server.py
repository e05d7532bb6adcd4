"""The server that `tests.warm_dbt` asks: it has imported dbt and parsed the project, and forks.

``python -m tests.dbt_server LISTENER OWNER``: requests come over the inherited listening socket,
one JSON document per connection; the answers are the fork's process id and, at its end, its exit
code. It has one thread when it forks, and ends soon after its owner, the test session, is gone.
"""

from __future__ import annotations

import gc
import json
import os
import selectors
import signal
import socket
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

import psutil
from dbt.cli.main import cli, dbtRunner

PROJECT = str(Path(__file__).resolve().parents[1] / "dbt")
OWNER_CHECK_SECONDS = 1.0


def warm_up() -> None:
    """Fill what dbt keeps per process and never looks at again: schemas, classes, templates.

    The static parser has threads, which a fork would wait for in vain: each starts its own.
    """
    with tempfile.TemporaryDirectory(prefix="warm-dbt-") as target:
        places = ("--profiles-dir", PROJECT, "--target-path", target, "--log-path", target)
        dbtRunner().invoke(
            ["--quiet", "parse", "--no-static-parser", "--project-dir", PROJECT, *places]
        )
    # A command ends before what it leaves behind would matter.
    gc.disable()
    gc.freeze()


class Server:
    """Answers requests until the owner is gone."""

    def __init__(self, listener: socket.socket, owner: int) -> None:
        self.listener = listener
        self.owner = owner
        self.asked: dict[int, socket.socket] = {}
        self.woken, self.waking = socket.socketpair()

    def serve(self) -> None:
        os.set_blocking(self.waking.fileno(), False)
        signal.set_wakeup_fd(self.waking.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        with selectors.DefaultSelector() as selector:
            selector.register(self.listener, selectors.EVENT_READ)
            selector.register(self.woken, selectors.EVENT_READ)
            while psutil.pid_exists(self.owner):
                for key, _ in selector.select(OWNER_CHECK_SECONDS):
                    if key.fileobj is self.listener:
                        self.accept()
                    else:
                        self.woken.recv(4096)
                self.tell_ends()

    def accept(self) -> None:
        asking, _ = self.listener.accept()
        with asking.makefile("rb") as requests:
            request = json.loads(requests.readline())
        process = os.fork()
        if not process:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for one in (self.listener, asking, *self.asked.values()):
                one.close()
            become_dbt(**request)
        self.asked[process] = asking
        say(asking, pid=process)

    def tell_ends(self) -> None:
        while self.asked:
            process, status = os.waitpid(-1, os.WNOHANG)
            if not process:
                return
            with self.asked.pop(process) as asking:
                say(asking, code=os.waitstatus_to_exitcode(status))


def say(asking: socket.socket, **document: int) -> None:
    try:
        asking.sendall(json.dumps(document).encode() + b"\n")
    except OSError:
        return  # whoever asked is gone


def become_dbt(
    arguments: list[str], directory: str, environment: dict[str, str], outputs: str
) -> None:
    """The rest of a fork's life: one command, with an environment and output of its own."""
    code: Any = 1
    try:
        for number, name in ((1, "out"), (2, "err")):
            file = os.open(Path(outputs, name), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.dup2(file, number)
            os.close(file)
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(directory)
        sys.argv = ["dbt", *arguments]
        cli(list(arguments))
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001 - the end of the process: nothing above may go on
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code or 0)


if __name__ == "__main__":
    warm_up()
    Server(socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2])).serve()
