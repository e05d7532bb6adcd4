"""What a victim runs: the product's own entry points, as a scheduler or a person starts them."""

from datetime import datetime

from tests import daemon_turns
from thirdsentry_pipeline.automation import launch
from thirdsentry_pipeline.automation.instance import persistent_instance
from thirdsentry_pipeline.domain.evidence import EvidenceType
from thirdsentry_pipeline.domain.identifiers import today
from thirdsentry_pipeline.domain.time import utc_now
from thirdsentry_pipeline.operations.alert_sinks import sinks_for
from thirdsentry_pipeline.operations.alerts import evaluate_alerts
from thirdsentry_pipeline.operations.services import platform_for
from thirdsentry_pipeline.settings import Settings
from thirdsentry_pipeline.warehouse.database import engine_for


def sync(organization_id):
    """A real Dagster run of today's partition, in this process; 0 when it succeeded."""
    day = today(utc_now)
    _, success = launch.run_evidence_job(
        Settings.from_environment(), organization_id, day, tuple(EvidenceType)
    )
    return 0 if success else 1


def alerts(_organization_id):
    """One evaluation and delivery over all organizations, as the sensor makes it."""
    settings = Settings.from_environment()
    done = evaluate_alerts(
        engine_for(settings.login_url("pipeline")),
        engine_for(settings.login_url("scheduler")),
        sinks_for(settings, platform_for(settings)),
    )
    return 1 if done.errors else 0


def tick(moment):
    """The daemon's turn over all schedules at a moment."""
    with persistent_instance(Settings.from_environment()) as instance:
        daemon_turns.schedule(instance, datetime.fromisoformat(moment))
    return 0


JOBS = {"sync": sync, "alerts": alerts, "tick": tick}
