"""Running a Dagster job from the command line."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from thirdsentry_pipeline.local.console import console_to
from thirdsentry_pipeline.local.interrupts import raise_if_interrupted
from thirdsentry_pipeline.settings import Settings


@contextmanager
def quiet_job(settings: Settings) -> Iterator[Path]:
    """Around one job: what it prints goes to the log it yields, and Ctrl-C stops us as well."""
    log = settings.home / "logs" / "dagster-runs.log"
    with console_to(log):
        yield log
    raise_if_interrupted()
