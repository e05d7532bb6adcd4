"""A check's outcome, and the quick checks that a watchdog asks for every minute.

They import no Dagster: a probe costs a second of CPU, not four.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from thirdsentry_pipeline.cli.errors import describe
from thirdsentry_pipeline.cli.session import login_engine
from thirdsentry_pipeline.operations.database import require_prepared
from thirdsentry_pipeline.operations.watching import require_heartbeats, watch_organizations
from thirdsentry_pipeline.settings import Settings


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    check: str
    ok: bool
    detail: str


NAMES = {
    "stale": "evidence",
    "missed": "daily run",
    "untold": "history",
    "unsent": "alert sinks",
}


def attempt(name: str, look: Callable[[], str]) -> Check:
    """The check's detail, or the one sentence of what it raised."""
    try:
        return Check(name, ok=True, detail=look())
    except Exception as error:  # noqa: BLE001 - a doctor reports every failure and goes on
        return Check(name, ok=False, detail=describe(error)[0])


def examine_quickly(settings: Settings) -> list[Check]:
    """Is the daemon alive, and is its work done? A server that is not running is not started."""
    checks = [attempt("postgres", lambda: f"ready at {require_prepared(settings):%H:%M:%SZ}")]
    if checks[0].ok:
        checks += [attempt("dagster daemon", lambda: daemon(settings)), *work_done(settings)]
    return checks


def daemon(settings: Settings) -> str:
    """Every daemon that matters must have been heard of lately."""
    with login_engine(settings, "dagster") as engine:
        return require_heartbeats(engine)


def work_done(settings: Settings) -> list[Check]:
    """Evidence read, history told, alerts sent, over all organizations."""
    try:
        with (
            login_engine(settings, "pipeline") as pipeline,
            login_engine(settings, "scheduler") as scheduler,
        ):
            watched = watch_organizations(pipeline, scheduler)
    except Exception as error:  # noqa: BLE001 - as above
        return [Check("organizations", ok=False, detail=describe(error)[0])]
    return [
        attempt(name, partial(watched.require_none, problem)) for problem, name in NAMES.items()
    ]
