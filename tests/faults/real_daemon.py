"""Dagster's daemon as a process of its own on a town, and what it and its servers hold."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import psutil

from thirdsentry_pipeline.automation.instance import instance_environment, write_instance
from thirdsentry_pipeline.local.dagster_server import write_workspace

END_SECONDS = 60
MEGABYTE = 1024 * 1024
SERVERS = {"code server": "grpc", "preloaded server": "fork_server"}


@dataclass
class RealDaemon:
    """The daemon's process; ``held`` has a sample per name."""

    process: psutil.Popen
    log: object
    held: dict = field(default_factory=dict)

    def servers(self, kind):
        """The processes of a kind that the daemon itself started."""
        found = []
        for one in self.process.children():
            with suppress(psutil.Error):
                if any(SERVERS[kind] in word for word in one.cmdline()):
                    found.append(one)
        return found

    def workers(self):
        """The processes of runs under way: forks of the preloaded servers."""
        found = []
        for server in self.servers("preloaded server"):
            with suppress(psutil.Error):
                found += server.children()
        return found

    def sample(self, **more):
        """Note what each process holds now; of two servers of a kind, the one that holds more."""
        now = dict(more)
        for kind, processes in (
            ("daemon", [self.process]),
            *((kind, self.servers(kind)) for kind in SERVERS),
        ):
            now[f"{kind}: processes"] = len(processes)
            for name, count in (
                ("files", lambda one: one.num_fds()),
                ("threads", lambda one: one.num_threads()),
                ("megabytes", lambda one: one.memory_info().rss / MEGABYTE),
            ):
                now[f"{kind}: {name}"] = max(map(count, processes), default=0)
        for name, value in now.items():
            self.held.setdefault(name, []).append(value)

    def last_words(self):
        return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-40:])


@contextmanager
def real_daemon(settings, environment):
    """Start the daemon as `thirdsentry up` does, without the UI; it and its servers end after."""
    home = write_instance(settings)
    log = home / "daemon.log"
    command = [sys.executable, "-m", "dagster._daemon", "run", "-w", str(write_workspace(settings))]
    with log.open("wb") as output:
        process = psutil.Popen(
            command,
            env={**os.environ, **environment, **instance_environment(settings)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    daemon = RealDaemon(process, log)
    try:
        yield daemon
    finally:
        family = process.children(recursive=True)
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(END_SECONDS)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait()
        for one in family:
            with suppress(psutil.NoSuchProcess):
                one.kill()
