"""What a victim runs: the product's own entry points, as a scheduler or a person starts them."""

from thirdsentry_pipeline.automation import launch
from thirdsentry_pipeline.domain.evidence import EvidenceType
from thirdsentry_pipeline.domain.identifiers import today
from thirdsentry_pipeline.domain.time import utc_now
from thirdsentry_pipeline.settings import Settings


def sync(organization_id):
    """A real Dagster run of today's partition, in this process; 0 when it succeeded."""
    day = today(utc_now)
    _, success = launch.run_evidence_job(
        Settings.from_environment(), organization_id, day, tuple(EvidenceType)
    )
    return 0 if success else 1


JOBS = {"sync": sync}
