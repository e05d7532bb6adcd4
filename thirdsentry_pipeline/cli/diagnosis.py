"""The checks of ``doctor``: each says what it found, and what to do when that is not well."""

from datetime import UTC
from typing import Any

import dagster as dg
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import InstigatorStatus
from sqlalchemy import Row, text

from thirdsentry_pipeline.assets.dbt_runner import prepared_manifest
from thirdsentry_pipeline.automation.instance import persistent_instance
from thirdsentry_pipeline.aws.clock import time_of_sts
from thirdsentry_pipeline.cli.checks import Check, attempt, daemon, work_done
from thirdsentry_pipeline.cli.errors import describe
from thirdsentry_pipeline.cli.session import login_engine, organization_names
from thirdsentry_pipeline.definitions import defs
from thirdsentry_pipeline.domain.errors import ConfigurationError, ThirdSentryError
from thirdsentry_pipeline.domain.time import utc_now
from thirdsentry_pipeline.operations.database import require_prepared, require_safe_logins
from thirdsentry_pipeline.operations.services import platform_for
from thirdsentry_pipeline.operations.startup import require_skew_below_limit, require_true_time
from thirdsentry_pipeline.settings import Settings
from thirdsentry_pipeline.warehouse.readiness import known_revisions
from thirdsentry_pipeline.warehouse.scope import organization_scope

LAST_RUN = text("""
    select status, coalesce(error_code, '') as error_code, started_at
    from warehouse.connector_runs
    order by started_at desc
    limit 1
""")


def examine(settings: Settings) -> list[Check]:
    """Run every check; one that fails or raises costs no other its result."""
    checks = [
        attempt("postgres", lambda: postgres(settings)),
        attempt("migrations", lambda: migrations(settings)),
        attempt("dbt manifest", lambda: f"{prepared_manifest()}"),
        attempt("kms key", lambda: kms_key(settings)),
        attempt("sts clock", lambda: sts_clock(settings)),
        attempt("dagster daemon", lambda: daemon(settings)),
        attempt("schedules", lambda: schedules_on(settings)),
    ]
    return [*checks, *work_done(settings), *last_runs(settings)]


def postgres(settings: Settings) -> str:
    """The server's version, through the pipeline's login."""
    with login_engine(settings, "pipeline") as engine, engine.connect() as connection:
        version = connection.scalar(text("show server_version"))
    return f"Postgres {version} ({'embedded' if settings.is_embedded else 'external'})"


def migrations(settings: Settings) -> str:
    """The revision, which must be this package's, and the logins, which must be bound."""
    require_safe_logins(settings)
    require_prepared(settings)
    return f"at {known_revisions()[-1]}"


def kms_key(settings: Settings) -> str:
    """The key that wraps data keys must exist and be enabled."""
    if settings.kms_key_id is None:
        message = "Set THIRDSENTRY_KMS_KEY_ID to the KMS key that wraps the data keys."
        raise ConfigurationError(message)
    kms = platform_for(settings).client("kms")
    state = kms.describe_key(KeyId=settings.kms_key_id)["KeyMetadata"]["KeyState"]
    if state != "Enabled":
        message = f"The key THIRDSENTRY_KMS_KEY_ID names is {state}: enable it."
        raise ConfigurationError(message)
    return "enabled"


def sts_clock(settings: Settings) -> str:
    """Seconds between our clock and that of STS; Postgres' must not be off either."""
    platform = platform_for(settings)
    theirs = time_of_sts(platform)
    skew = None if theirs is None else utc_now() - theirs
    if skew is not None:
        require_skew_below_limit(skew)
    require_true_time(require_prepared(settings), lambda: platform)
    # Without an answer or credentials this says what is missing.
    account = platform.client("sts").get_caller_identity()["Account"]
    told = "an unknown time" if skew is None else f"{abs(skew.total_seconds()):.0f} s"
    return f"{told} off, as account {account}"


def schedules_on(settings: Settings) -> str:
    """Every schedule that is on by default must not have been turned off."""
    wanted = {
        one.name
        for one in defs.schedules or ()
        if isinstance(one, dg.ScheduleDefinition)
        and one.default_status is dg.DefaultScheduleStatus.RUNNING
    }
    with persistent_instance(settings) as instance:
        states = instance.all_instigator_state(instigator_type=InstigatorType.SCHEDULE)
        stopped = {one.name for one in states if one.status is InstigatorStatus.STOPPED}
    off = sorted(wanted & stopped)
    if off:
        message = f"Off: {', '.join(off)}. Turn them on in the Dagster UI, under Automation."
        raise ThirdSentryError(message)
    return ", ".join(sorted(wanted))


def last_runs(settings: Settings) -> list[Check]:
    """Each organization's last run; one that failed is not well."""
    try:
        with login_engine(settings, "pipeline") as engine:
            names = organization_names(settings, engine)
            checks = []
            for organization_id in names:
                with organization_scope(engine, organization_id) as connection:
                    row = connection.execute(LAST_RUN).one_or_none()
                checks.append(last_run(organization_id, row))
    except Exception as error:  # noqa: BLE001 - as above
        return [Check("last runs", ok=False, detail=describe(error)[0])]
    return checks


def last_run(organization_id: str, row: Row[Any] | None) -> Check:
    """What the newest run row says."""
    name = f"last run of {organization_id}"
    if row is None:
        return Check(name, ok=True, detail="never ran")
    started_at = row.started_at.astimezone(UTC)
    detail = f"{row.status} at {started_at:%Y-%m-%d %H:%MZ} {row.error_code}".strip()
    return Check(name, ok=row.status not in {"failed", "abandoned"}, detail=detail)
