"""Running jobs on the persistent instance from the command line, in this process.

The run is in the UI like any other: its job, partition, tags, events. Interrupted, it ends
as cancelled or failed before the interruption goes on.
"""

from collections.abc import Mapping, Sequence
from datetime import date

import dagster as dg
from dagster._core.definitions.reconstruct import ReconstructableJob, ReconstructableRepository
from dagster._core.definitions.repository_definition import SINGLETON_REPOSITORY_NAME
from dagster._core.execution.api import create_execution_plan, execute_run
from dagster._core.remote_origin import (
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.snap import snapshot_from_execution_plan
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

from thirdsentry_pipeline.assets.evidence import ORGANIZATION_TAG
from thirdsentry_pipeline.assets.evidence_specs import EVIDENCE_KEYS
from thirdsentry_pipeline.automation.instance import persistent_instance
from thirdsentry_pipeline.automation.jobs import (
    audit_anchors_job,
    aws_evidence_job,
    coverage_history_job,
    evidence_checks_job,
)
from thirdsentry_pipeline.automation.run_workers import own_worker
from thirdsentry_pipeline.domain.evidence import EvidenceType
from thirdsentry_pipeline.partitions import (
    ORGANIZATIONS,
    evidence_partitions,
    partition_key,
)
from thirdsentry_pipeline.settings import Settings

DEFINITIONS_MODULE = "thirdsentry_pipeline.definitions"
LOCATION_NAME = "thirdsentry"


def run_evidence_job(
    settings: Settings, organization_id: str, day: date, types: Sequence[EvidenceType]
) -> tuple[str, bool]:
    """Collect one organization's day; returns the Dagster run's id and whether it succeeded."""
    key = partition_key(day, organization_id)
    with persistent_instance(settings) as instance:
        instance.add_dynamic_partitions(ORGANIZATIONS, [organization_id])
        return _run(
            instance,
            aws_evidence_job.name,
            tags={
                **evidence_partitions.get_tags_for_partition_key(key),
                ORGANIZATION_TAG: organization_id,
            },
            asset_selection=[EVIDENCE_KEYS[kind] for kind in types],
        )


def remove_organization(settings: Settings, organization_id: str) -> None:
    """Take away the organization's partition; the events of its runs stay."""
    with persistent_instance(settings) as instance:
        if organization_id in instance.get_dynamic_partitions(ORGANIZATIONS):
            instance.delete_dynamic_partition(ORGANIZATIONS, organization_id)


def run_checks_job(settings: Settings) -> tuple[str, bool]:
    """Evaluate the evidence checks over all organizations now."""
    with persistent_instance(settings) as instance:
        return _run(instance, evidence_checks_job.name)


def run_coverage_job(settings: Settings) -> tuple[str, bool]:
    """Build the coverage models through Dagster, tests included."""
    with persistent_instance(settings) as instance:
        return _run(instance, coverage_history_job.name)


def run_anchors_job(settings: Settings) -> tuple[str, bool]:
    """Anchor every organization's audit log now."""
    with persistent_instance(settings) as instance:
        return _run(instance, audit_anchors_job.name)


def _run(
    instance: dg.DagsterInstance,
    job: str,
    *,
    tags: Mapping[str, str] | None = None,
    asset_selection: Sequence[dg.AssetKey] | None = None,
) -> tuple[str, bool]:
    repository = ReconstructableRepository.for_module(DEFINITIONS_MODULE, "defs")
    launched = ReconstructableJob(repository=repository, job_name=job)
    if asset_selection is not None:
        # Checks look at all organizations, so a run of one never evaluates them.
        launched = launched.get_subset(
            asset_selection=frozenset(asset_selection), asset_check_selection=frozenset()
        )
    # Killed or cancelled from the UI, a run of this process is found like one of a worker's.
    run = _create_run(instance, launched, job, {**own_worker().as_tags(), **(tags or {})})
    result = execute_run(launched, run, instance, raise_on_error=False)
    return result.run_id, result.success


def _create_run(
    instance: dg.DagsterInstance, launched: ReconstructableJob, job: str, tags: Mapping[str, str]
) -> dg.DagsterRun:
    """The run as the UI's launcher would have made it, its selection and origin included."""
    definition = launched.get_definition()
    plan = create_execution_plan(
        definition, run_config={}, instance_ref=instance.get_ref(), tags=tags
    )
    location = ManagedGrpcPythonEnvCodeLocationOrigin(
        loadable_target_origin=LoadableTargetOrigin(module_name=DEFINITIONS_MODULE),
        location_name=LOCATION_NAME,
    )
    origin = RemoteRepositoryOrigin(location, SINGLETON_REPOSITORY_NAME)
    return instance.create_run(
        job_name=job,
        run_id=None,
        run_config={},
        status=None,
        tags={**definition.run_tags, **tags},
        root_run_id=None,
        parent_run_id=None,
        step_keys_to_execute=plan.step_keys_to_execute,
        execution_plan_snapshot=snapshot_from_execution_plan(
            plan, definition.get_job_snapshot_id()
        ),
        job_snapshot=definition.get_job_snapshot(),
        parent_job_snapshot=definition.get_parent_job_snapshot(),
        asset_selection=launched.asset_selection,
        asset_check_selection=launched.asset_check_selection,
        resolved_op_selection=None,
        op_selection=None,
        remote_job_origin=RemoteJobOrigin(origin, job),
        job_code_origin=launched.get_python_origin(),
        asset_graph=definition.asset_layer.asset_graph,
    )
