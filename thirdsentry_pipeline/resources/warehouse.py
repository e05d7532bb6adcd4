"""The warehouse as a Dagster resource: two logins, opened for one run."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import dagster as dg
from pydantic import PrivateAttr
from sqlalchemy import Engine

from thirdsentry_pipeline.domain.time import utc_now
from thirdsentry_pipeline.operations.services import APPLICATION_NAME, platform_for
from thirdsentry_pipeline.operations.startup import require_fit_warehouse, require_true_time
from thirdsentry_pipeline.settings import Settings
from thirdsentry_pipeline.warehouse.database import engine_for


class WarehouseResource(dg.ConfigurableResource[Any]):
    """Engines for the pipeline's and the scheduler's login; their URLs stay out of Dagster.

    The settings are read when a run starts, never at import and never from run config.
    """

    _pipeline: Engine | None = PrivateAttr(default=None)
    _scheduler: Engine | None = PrivateAttr(default=None)

    @contextmanager
    def yield_for_execution(
        self,
        context: dg.InitResourceContext,  # noqa: ARG002 - Dagster's signature
    ) -> Generator["WarehouseResource", None, None]:
        """Open both engines.

        An unsafe login, another release's schema or a wrong clock is refused.
        """
        settings = Settings.from_environment()
        pipeline = engine_for(settings.login_url("pipeline"), application_name=APPLICATION_NAME)
        scheduler = engine_for(settings.login_url("scheduler"), application_name=APPLICATION_NAME)
        try:
            of_postgres = require_fit_warehouse(pipeline, scheduler)
            require_true_time(of_postgres, lambda: platform_for(settings), clock=utc_now)
            self._pipeline, self._scheduler = pipeline, scheduler
            yield self
        finally:
            pipeline.dispose()
            scheduler.dispose()

    @property
    def pipeline(self) -> Engine:
        """The login that works inside one organization's scope at a time."""
        return _opened(self._pipeline)

    @property
    def scheduler(self) -> Engine:
        """The login that may ask for the live organizations' ids and nothing else."""
        return _opened(self._scheduler)


def _opened(engine: Engine | None) -> Engine:
    if engine is None:
        message = "The warehouse resource is open only while a run, schedule or sensor uses it."
        raise dg.DagsterInvariantViolationError(message)
    return engine
