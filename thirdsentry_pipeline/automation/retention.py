"""Pruning by a job whose schedule is off until an operator turns it on."""

import dagster as dg

from thirdsentry_pipeline.operations.retention import prune_organizations
from thirdsentry_pipeline.resources.warehouse import WarehouseResource
from thirdsentry_pipeline.warehouse.scope import live_organization_ids

ACTOR = "thirdsentry retention_prune"
MAX_RUNTIME_TAG = "dagster/max_runtime"
LONGEST_SECONDS = 6 * 3600


@dg.op(description="Deletes what is beyond each organization's window, with a checkpoint.")
def prune_beyond_the_window(context: dg.OpExecutionContext, warehouse: WarehouseResource) -> None:
    """Prune every live organization; fails at the end when any could not be pruned."""
    ids = live_organization_ids(warehouse.scheduler)
    outcomes = prune_organizations(warehouse.pipeline, ids, actor=ACTOR)
    pruned = [one.pruned for one in outcomes if one.pruned is not None]
    context.add_output_metadata(
        {"organizations": len(outcomes), "rows": sum(one.total for one in pruned)}
    )
    failed = [one for one in outcomes if one.problem is not None]
    if failed:
        reasons = " ".join(f"{one.organization_id}: {one.problem}" for one in failed)
        message = f"{len(failed)} of {len(outcomes)} organizations were not pruned. {reasons}"
        raise dg.Failure(message)


@dg.job(
    name="retention_prune",
    description="Deletes evidence and audit rows that are older than their organization keeps.",
    executor_def=dg.in_process_executor,
    tags={MAX_RUNTIME_TAG: str(LONGEST_SECONDS)},
)
def retention_prune_job() -> None:
    """One op over all organizations."""
    prune_beyond_the_window()


retention_prune_daily = dg.ScheduleDefinition(
    name="retention_prune_daily",
    job=retention_prune_job,
    cron_schedule="0 4 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="Prunes every organization; deleting is for an operator to turn on.",
)
