"""What a victim runs: the product's own entry points, as a scheduler or a person starts them."""

from datetime import datetime

from dagster._core.definitions.reconstruct import ReconstructableRepository

from tests import daemon_turns
from thirdsentry_pipeline.automation import fork_worker, launch
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


def launched(run_id):
    """What a launched run's own process does: the run that the queue let go."""
    with persistent_instance(Settings.from_environment()) as instance:
        run = instance.get_run_by_id(run_id)
        repository = ReconstructableRepository.for_module(launch.DEFINITIONS_MODULE, "defs")
        job = repository.get_reconstructable_job(run.job_name)
        fork_worker.execute(job, run_id, instance.get_ref())
        return 0 if instance.get_run_by_id(run_id).is_success else 1


JOBS = {"sync": sync, "alerts": alerts, "tick": tick, "launched": launched}
