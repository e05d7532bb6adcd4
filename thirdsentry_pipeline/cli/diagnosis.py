"""The checks of ``doctor``: each says what it found, and what to do when that is not well."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

import dagster as dg
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import InstigatorStatus
from sqlalchemy import Row, text

from thirdsentry_pipeline.assets.dbt_runner import prepared_manifest
from thirdsentry_pipeline.automation.instance import persistent_instance
from thirdsentry_pipeline.cli.errors import describe
from thirdsentry_pipeline.cli.session import login_engine, organization_names
from thirdsentry_pipeline.definitions import defs
from thirdsentry_pipeline.domain.errors import ConfigurationError, ThirdSentryError
from thirdsentry_pipeline.domain.time import utc_now
from thirdsentry_pipeline.operations.services import platform_for
from thirdsentry_pipeline.settings import Settings
from thirdsentry_pipeline.warehouse.migrate import current_revision, head_revision
from thirdsentry_pipeline.warehouse.scope import organization_scope

# STS refuses signatures that are more than 5 minutes off.
SKEW_SECONDS = 300.0
HEARTBEAT_SECONDS = 120.0
LAST_RUN = text("""
    select status, coalesce(error_code, '') as error_code, started_at
    from warehouse.connector_runs
    order by started_at desc
    limit 1
""")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    check: str
    ok: bool
    detail: str


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
    return [*checks, *last_runs(settings)]


def attempt(name: str, look: Callable[[], str]) -> Check:
    """The check's detail, or the one sentence of what it raised."""
    try:
        return Check(name, ok=True, detail=look())
    except Exception as error:  # noqa: BLE001 - a doctor reports every failure and goes on
        return Check(name, ok=False, detail=describe(error)[0])


def postgres(settings: Settings) -> str:
    """The server's version, through the pipeline's login."""
    with login_engine(settings, "pipeline") as engine, engine.connect() as connection:
        version = connection.scalar(text("show server_version"))
    return f"Postgres {version} ({'embedded' if settings.is_embedded else 'external'})"


def migrations(settings: Settings) -> str:
    """The revision, which must be this package's."""
    current, head = current_revision(settings.login_url("pipeline")), head_revision()
    if current != head:
        message = f"The warehouse is at {current}, not at {head}: run `thirdsentry db migrate`."
        raise ConfigurationError(message)
    return f"at {head}"


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
    """Seconds between our clock and that of STS, from the date of one answer."""
    answer = platform_for(settings).client("sts").get_caller_identity()
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    theirs = parsedate_to_datetime(headers["date"]).astimezone(UTC)
    skew = abs((utc_now() - theirs).total_seconds())
    if skew > SKEW_SECONDS:
        message = f"This clock is {skew:.0f} s off that of STS: signatures fail until it is set."
        raise ThirdSentryError(message)
    return f"{skew:.0f} s off, as account {answer['Account']}"


def daemon(settings: Settings) -> str:
    """Every daemon's heartbeat must be recent."""
    with persistent_instance(settings) as instance:
        beats = instance.get_daemon_heartbeats()
    now = utc_now().timestamp()
    ages = {kind: now - beat.timestamp for kind, beat in beats.items()}
    needed = {"SCHEDULER": ages.get("SCHEDULER"), "SENSOR": ages.get("SENSOR")}
    silent = [kind for kind, age in needed.items() if age is None or age > HEARTBEAT_SECONDS]
    if silent:
        message = f"No heartbeat of {' and '.join(silent).lower()}: run `thirdsentry up`."
        raise ThirdSentryError(message)
    return f"last heartbeat {max(age for age in needed.values() if age is not None):.0f} s ago"


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
