"""The persistent Dagster instance: its configuration file and its place."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import yaml

from thirdsentry_pipeline.assets.evidence import ORGANIZATION_TAG
from thirdsentry_pipeline.automation.fork_launcher import ForkRunLauncher, can_fork
from thirdsentry_pipeline.automation.kept_connections import kept_connections
from thirdsentry_pipeline.settings import Settings

DAGSTER_YAML = "dagster.yaml"
RUNS_PER_CORE = 2
LEAST_CONCURRENT_RUNS = 4
DEQUEUE_SECONDS = 1
MAX_RUN_SECONDS = 3600
MONITORING_SECONDS = 30
START_TIMEOUT_SECONDS = 180
CANCEL_TIMEOUT_SECONDS = 180
TICK_DAYS = {"skipped": 2, "success": 30, "failure": 90, "started": 30}
FORK_RUN_LAUNCHER = {
    "module": ForkRunLauncher.__module__,
    "class": ForkRunLauncher.__name__,
}
PARTITION_ORGANIZATION_TAG = "dagster/partition/organization"


def concurrent_runs() -> int:
    """How many runs this machine does at once: each waits for AWS half of its time."""
    return max(LEAST_CONCURRENT_RUNS, RUNS_PER_CORE * (os.cpu_count() or 1))


def instance_config(settings: Settings) -> dict[str, Any]:
    """The content of ``dagster.yaml``; it holds the password of Dagster's own login.

    Raises:
        ConfigurationError: the login was not made or the embedded server is not running.
    """
    url = settings.login_url("dagster")
    # SQLAlchemy reads a bare postgresql:// as psycopg 3; dagster-postgres needs psycopg2.
    storage_url = f"postgresql+psycopg2://{url.partition('://')[2]}"
    home = settings.dagster_home
    one_run_per_organization = {"value": {"applyLimitPerUniqueValue": True}, "limit": 1}
    return {
        "storage": {"postgres": {"postgres_url": storage_url}},
        "local_artifact_storage": {
            "module": "dagster._core.storage.root",
            "class": "LocalArtifactStorage",
            "config": {"base_dir": str(home)},
        },
        "compute_logs": {
            "module": "dagster._core.storage.local_compute_log_manager",
            "class": "LocalComputeLogManager",
            "config": {"base_dir": str(home / "compute_logs")},
        },
        **({"run_launcher": FORK_RUN_LAUNCHER} if can_fork() else {}),
        "run_coordinator": {
            "module": "dagster._core.run_coordinator",
            "class": "QueuedRunCoordinator",
            # Dagster's 5 s are longer than a run: the slots would stand empty half of the time.
            "config": {"dequeue_interval_seconds": DEQUEUE_SECONDS},
        },
        "concurrency": {
            "runs": {
                "max_concurrent_runs": concurrent_runs(),
                "tag_concurrency_limits": [
                    {"key": key, **one_run_per_organization}
                    # The second is on every partition's run, also one started in the UI.
                    for key in (ORGANIZATION_TAG, PARTITION_ORGANIZATION_TAG)
                ],
            }
        },
        "run_monitoring": {
            "enabled": True,
            "poll_interval_seconds": MONITORING_SECONDS,
            "start_timeout_seconds": START_TIMEOUT_SECONDS,
            "cancel_timeout_seconds": CANCEL_TIMEOUT_SECONDS,
            "max_runtime_seconds": MAX_RUN_SECONDS,
        },
        "run_retries": {"enabled": True, "max_retries": 0},
        "freshness": {"enabled": True},
        "retention": {
            kind: {"purge_after_days": dict(TICK_DAYS)}
            for kind in ("schedule", "sensor", "auto_materialize")
        },
        "telemetry": {"enabled": False},
        "nux": {"enabled": False},
    }


def write_instance(settings: Settings) -> Path:
    """Write ``dagster.yaml`` (0600) into the installation's ``DAGSTER_HOME``; returns the home.

    The file is replaced whole, so a reader never sees half of it.
    """
    home = settings.dagster_home
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    content = yaml.safe_dump(instance_config(settings), sort_keys=False)
    path = home / DAGSTER_YAML
    if not path.is_file() or path.read_text() != content:
        draft = home / f"{DAGSTER_YAML}.{os.getpid()}"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(content)
        draft.replace(path)
    return home


def instance_environment(settings: Settings) -> Mapping[str, str]:
    """What a child process needs to work on this instance."""
    return {"DAGSTER_HOME": str(settings.dagster_home)}


@contextmanager
def persistent_instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """The instance whose runs the UI shows."""
    home = write_instance(settings)
    with dg.DagsterInstance.from_config(str(home)) as instance, kept_connections(instance):
        yield instance
