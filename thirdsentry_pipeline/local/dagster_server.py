"""The Dagster UI and daemon as child processes."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from thirdsentry_pipeline.automation.instance import instance_environment, write_instance
from thirdsentry_pipeline.automation.launch import DEFINITIONS_MODULE, LOCATION_NAME
from thirdsentry_pipeline.domain.errors import ThirdSentryError
from thirdsentry_pipeline.local.processes import (
    HOST,
    ChildProcesses,
    answers,
    require_free_port,
)
from thirdsentry_pipeline.settings import Settings

READY_SECONDS = 180.0
POLL_SECONDS = 0.5
# The first status of an asset counts all its partitions, which takes longer than the 15 seconds of
# Dagster's own after three months of 1,000 organizations; cut off, the page can't be shown.
PATIENT = ("--db-statement-timeout", "60000")
"""Options of a webserver that lets a question of the UI take a minute."""


@contextmanager
def dagster_server(settings: Settings, port: int) -> Iterator[ChildProcesses]:
    """Webserver and daemon, ready to be used; both are gone when the block ends.

    Raises:
        ConfigurationError: the port is occupied.
        ThirdSentryError: a child ended by itself, or the UI did not answer in time.
    """
    require_free_port(port)
    write_instance(settings)
    workspace = str(write_workspace(settings))
    environment = {
        **os.environ,
        **instance_environment(settings),
        "THIRDSENTRY_HOME": str(settings.home),
        "PYTHONUNBUFFERED": "1",
    }
    daemon = [sys.executable, "-m", "dagster._daemon", "run", "-w", workspace]
    webserver = [sys.executable, "-m", "dagster_webserver", "-w", workspace]
    webserver += ["-h", HOST, "-p", str(port), *PATIENT]
    with ChildProcesses(settings.home / "logs") as children:
        children.start("dagster-webserver", webserver, environment)
        children.start("dagster-daemon", daemon, environment)
        wait_until_ready(children, port)
        yield children


def write_workspace(settings: Settings) -> Path:
    """A workspace file that names this interpreter, so that it works from any directory."""
    module = {
        "module_name": DEFINITIONS_MODULE,
        "location_name": LOCATION_NAME,
        "executable_path": sys.executable,
    }
    path = settings.dagster_home / "workspace.yaml"
    path.write_text(yaml.safe_dump({"load_from": [{"python_module": module}]}), encoding="utf-8")
    return path


def wait_until_ready(children: ChildProcesses, port: int) -> None:
    """Wait until the UI answers; raises ThirdSentryError when a child ends or time is up."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        children.check()
        if answers(f"http://{HOST}:{port}/server_info"):
            return
        time.sleep(POLL_SECONDS)
    message = f"The Dagster UI did not answer on port {port} within {READY_SECONDS:.0f} seconds."
    raise ThirdSentryError(message)
