"""What every operation needs, opened once per process and closed with it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from thirdsentry_pipeline.aws.kms import TenantKeys
from thirdsentry_pipeline.aws.sessions import PlatformAws
from thirdsentry_pipeline.domain.time import Clock, utc_now
from thirdsentry_pipeline.operations.startup import require_fit_warehouse, require_true_time
from thirdsentry_pipeline.warehouse.database import engine_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from thirdsentry_pipeline.settings import Settings

APPLICATION_NAME = "thirdsentry"


@dataclass(frozen=True, slots=True)
class Services:
    """The pipeline's doors: two database logins, AWS, and the organizations' keys.

    ``pipeline`` sees one organization at a time, ``scheduler`` only the list of ids.
    ``principal_arn`` is the principal customers trust; ``clock`` answers in UTC.
    """

    pipeline: Engine = field(repr=False)
    scheduler: Engine = field(repr=False)
    platform: PlatformAws = field(repr=False)
    keys: TenantKeys = field(repr=False)
    principal_arn: str | None = None
    clock: Clock = utc_now


def platform_for(settings: Settings) -> PlatformAws:
    """The platform's side of AWS: real, or the endpoint the settings name."""
    return PlatformAws(endpoint_url=settings.aws_endpoint_url, region=settings.aws_region)


def tenant_keys_for(settings: Settings, platform: PlatformAws) -> TenantKeys:
    """The organizations' data keys, wrapped by the KMS key the settings name."""
    return TenantKeys(platform.client("kms"), settings.kms_key_id)


@contextmanager
def open_services(
    settings: Settings, *, clock: Clock = utc_now, at_any_time: bool = False
) -> Iterator[Services]:
    """Open the services that ``settings`` describes; engines are disposed of on exit.

    ``at_any_time`` is for what a wrong clock must not hold up.

    Raises:
        ConfigurationError: a login is missing or unsafe, the schema is another release's, or a
            clock is wrong.
    """
    pipeline = engine_for(settings.login_url("pipeline"), application_name=APPLICATION_NAME)
    scheduler = engine_for(settings.login_url("scheduler"), application_name=APPLICATION_NAME)
    platform = platform_for(settings)
    try:
        of_postgres = require_fit_warehouse(pipeline, scheduler)
        if not at_any_time:
            require_true_time(of_postgres, lambda: platform, clock=clock)
        yield Services(
            pipeline=pipeline,
            scheduler=scheduler,
            platform=platform,
            keys=tenant_keys_for(settings, platform),
            principal_arn=settings.principal_arn,
            clock=clock,
        )
    finally:
        pipeline.dispose()
        scheduler.dispose()
