"""The coverage views: built by dbt once, then right at every moment."""

from sqlalchemy import Connection, text
from sqlalchemy.engine import Engine

from thirdsentry_pipeline.assets.dbt_runner import run_dbt
from thirdsentry_pipeline.cli.session import login_engine
from thirdsentry_pipeline.settings import Settings

MARTS = (
    "evidence_freshness",
    "control_coverage",
    "framework_coverage",
    "organization_coverage",
    "mfa_coverage",
    "mfa_gaps",
    "guardduty_findings",
    "connector_health",
    "coverage_daily",
)


def build_views(settings: Settings) -> None:
    """Create or replace the seeds and models; data tests stay with the daily job."""
    run_dbt(settings, ["build", "--quiet", "--exclude-resource-type", "test", "unit_test"])


def views_exist(engine: Engine) -> bool:
    """Whether the marts that the commands read are there."""
    with engine.connect() as connection:
        return all(exists(connection, f"coverage.{mart}") for mart in MARTS)


def exists(connection: Connection, relation: str) -> bool:
    """Whether a relation is there; one this login may not see counts as missing."""
    return connection.scalar(text("select to_regclass(:name)"), {"name": relation}) is not None


def ensure_views(settings: Settings, engine: Engine) -> None:
    """Build the views when the warehouse is new."""
    if not views_exist(engine):
        build_views(settings)


def ensure_views_of(settings: Settings) -> None:
    """The same, for callers without an engine."""
    with login_engine(settings, "pipeline") as engine:
        ensure_views(settings, engine)
