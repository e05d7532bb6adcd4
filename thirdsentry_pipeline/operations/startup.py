"""What has to be right before anything is read or written: logins, schema, clocks.

A worker whose clock is off signs requests that AWS refuses, and one whose Postgres is off dates
evidence wrongly: fresh when it is stale, or the other way round. Both stop here, as a failure.
"""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING

from thirdsentry_pipeline.aws.clock import time_of_sts
from thirdsentry_pipeline.domain.errors import ConfigurationError
from thirdsentry_pipeline.domain.time import Clock, utc_now
from thirdsentry_pipeline.warehouse.readiness import require_ready

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sqlalchemy import Engine

    from thirdsentry_pipeline.aws.sessions import PlatformAws

LARGEST_SKEW = timedelta(minutes=5)
"""STS refuses signatures that are further off."""
_ASK_AGAIN_SECONDS = 600.0
SCHEDULER_VARIABLE = "THIRDSENTRY_SCHEDULER_DATABASE_URL"


class StsTime:
    """The time at STS, asked once and carried on by a clock that nobody sets."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._known: tuple[datetime, float] | None = None
        self._asked_at: float | None = None

    def now(
        self, open_platform: Callable[[], PlatformAws], *, ask: bool = False
    ) -> datetime | None:
        """The time there; with ``ask`` from an answer of this moment. ``None`` is not known.

        STS that did not answer is left alone for ten minutes.
        """
        with self._lock:
            moment = self._monotonic()
            is_due = self._asked_at is None or moment - self._asked_at > _ASK_AGAIN_SECONDS
            if ask or (self._known is None and is_due):
                self._asked_at = moment
                answered = time_of_sts(open_platform())
                self._known = None if answered is None else (answered, self._monotonic())
            if self._known is None:
                return None
            then, at = self._known
            return then + timedelta(seconds=self._monotonic() - at)


_STS = StsTime()
"""One per process: a run asks once, a code server once for all its ticks."""


def require_fit_warehouse(pipeline: Engine, scheduler: Engine) -> datetime:
    """Refuse an unsafe login and another release's schema; returns Postgres' own time.

    Raises:
        ConfigurationError: one sentence that says what to set or to run.
    """
    require_ready(scheduler, SCHEDULER_VARIABLE)
    return require_ready(pipeline)


def require_true_time(
    of_postgres: datetime,
    open_platform: Callable[[], PlatformAws],
    *,
    clock: Clock = utc_now,
    sts: StsTime = _STS,
) -> None:
    """Refuse when this clock or that of Postgres is more than five minutes off that of STS.

    While STS can't be asked, the two are held against each other.

    Raises:
        ConfigurationError: naming the clock to set.
    """
    there = sts.now(open_platform)
    if there is not None and _is_off(clock(), of_postgres, there):
        # A machine that slept has a monotonic clock that slept too: only an answer counts.
        before = clock()
        there = sts.now(open_platform, ask=True)
        of_postgres += clock() - before
    if there is None:
        apart = abs(clock() - of_postgres)
        if apart > LARGEST_SKEW:
            message = (
                f"The clocks of this machine and of Postgres are {_told(apart)} apart, so evidence "
                "would be dated wrongly: set the one that is off."
            )
            raise ConfigurationError(message)
        return
    require_skew_below_limit(clock() - there)
    off = abs(of_postgres - there)
    if off > LARGEST_SKEW:
        message = (
            f"The clock of Postgres is {_told(off)} off that of STS, so evidence would be dated "
            "wrongly: set it."
        )
        raise ConfigurationError(message)


def require_skew_below_limit(skew: timedelta) -> None:
    """Refuse when this clock differs from STS's by more than five minutes.

    Raises:
        ConfigurationError: saying by how much.
    """
    if abs(skew) > LARGEST_SKEW:
        message = (
            f"This clock is {_told(abs(skew))} off that of STS: signatures fail until it is set."
        )
        raise ConfigurationError(message)


def _is_off(here: datetime, of_postgres: datetime, there: datetime) -> bool:
    return max(abs(here - there), abs(of_postgres - there)) > LARGEST_SKEW


def _told(span: timedelta) -> str:
    return f"{span.total_seconds():.0f} s"
