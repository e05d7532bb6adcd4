"""The environment of a demo: the loopback sandbox, and nothing that could reach further."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

LOOPBACK = "127.0.0.1,localhost"
OURS = (
    "AWS_",
    "THIRDSENTRY_DATABASE_URL",
    "THIRDSENTRY_ADMIN_",
    "THIRDSENTRY_SCHEDULER_",
    "THIRDSENTRY_TRANSFORM_",
    "THIRDSENTRY_DAGSTER_",
    "THIRDSENTRY_ALERT_",
)


def demo_environment(
    current: Mapping[str, str], sandbox: Mapping[str, str], home: Path
) -> dict[str, str]:
    """The whole environment of a demo.

    A person's AWS profile, an external Postgres and alert sinks are left out: a demo reads no
    real account, and writes and sends nothing elsewhere.
    """
    kept = {name: value for name, value in current.items() if not name.startswith(OURS)}
    return {
        **kept,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": LOOPBACK,
        "no_proxy": LOOPBACK,
        "THIRDSENTRY_HOME": str(home),
        **sandbox,
    }


@contextmanager
def applied(environment: Mapping[str, str]) -> Iterator[None]:
    """Make it this process's environment for a while."""
    before = dict(os.environ)
    try:
        replace_environment(environment)
        yield
    finally:
        replace_environment(before)


def replace_environment(wanted: Mapping[str, str]) -> None:
    """Set and remove variables until ``os.environ`` is ``wanted``."""
    for name in set(os.environ) - set(wanted):
        del os.environ[name]
    os.environ.update(wanted)
