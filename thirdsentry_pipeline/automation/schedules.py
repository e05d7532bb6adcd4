"""When things run, all in UTC and all on by default (deleting alone is off: `retention`)."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date

import dagster as dg
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
)

from thirdsentry_pipeline.assets.evidence import ORGANIZATION_TAG
from thirdsentry_pipeline.automation.jobs import (
    audit_anchors_job,
    aws_evidence_job,
    coverage_history_job,
    evidence_checks_job,
)
from thirdsentry_pipeline.domain.shards import WHOLE, Shard
from thirdsentry_pipeline.partitions import organizations_of, partition_key
from thirdsentry_pipeline.resources.warehouse import WarehouseResource
from thirdsentry_pipeline.settings import Settings
from thirdsentry_pipeline.warehouse.scope import live_organization_ids


def evidence_schedule(shard: Shard) -> dg.ScheduleDefinition:
    """The daily schedule over the organizations of one shard."""

    @dg.schedule(
        name="aws_evidence_daily",
        job=aws_evidence_job,
        cron_schedule="0 2 * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Collects every connected organization, one run each.",
    )
    def aws_evidence_daily(
        context: dg.ScheduleEvaluationContext, warehouse: WarehouseResource
    ) -> Iterator[dg.RunRequest | dg.SkipReason]:
        """Request today's run of each organization with a connection that is due.

        One whose role did not open waits for its next attempt, ever longer.
        """
        day = context.scheduled_execution_time.astimezone(UTC).date()
        ids = shard.of(live_organization_ids(warehouse.scheduler, "due"))
        if not ids:
            yield dg.SkipReason("No organization has a live connection that is due.")
            return
        organizations = organizations_of(shard)
        known = set(context.instance.get_dynamic_partitions(organizations))
        missing = [one for one in ids if one not in known]
        if missing:
            context.instance.add_dynamic_partitions(organizations, missing)
        size = Settings.from_environment().organizations_per_run
        if size == 1:
            yield from (run_request(day, organization_id) for organization_id in ids)
            return
        ordered = context.instance.get_dynamic_partitions(organizations)
        yield from (batch_request(day, batch) for batch in batches(ordered, set(ids), size))

    return aws_evidence_daily


aws_evidence_daily = evidence_schedule(WHOLE)


def run_request(day: date, organization_id: str) -> dg.RunRequest:
    """One organization's run of a day; asked for twice, Dagster launches it once."""
    return dg.RunRequest(
        run_key=f"{organization_id}:{day.isoformat()}",
        partition_key=partition_key(day, organization_id),
        tags={ORGANIZATION_TAG: organization_id},
    )


def batch_request(day: date, batch: Sequence[str]) -> dg.RunRequest:
    """One run over a range of neighbouring organizations of a day."""
    return dg.RunRequest(
        run_key=f"{batch[0]}-{batch[-1]}:{day.isoformat()}",
        tags={
            ASSET_PARTITION_RANGE_START_TAG: partition_key(day, batch[0]),
            ASSET_PARTITION_RANGE_END_TAG: partition_key(day, batch[-1]),
        },
    )


def batches(ordered: Sequence[str], wanted: set[str], size: int) -> Iterator[list[str]]:
    """Neighbours of ``ordered`` that are all wanted, at most ``size`` together.

    A run over several partitions names the first and the last: one that is not wanted in
    between would be collected as well.
    """
    batch: list[str] = []
    for organization_id in ordered:
        if organization_id in wanted:
            batch.append(organization_id)
        if batch and (len(batch) == size or organization_id not in wanted):
            yield batch
            batch = []
    if batch:
        yield batch


coverage_history_daily = dg.ScheduleDefinition(
    name="coverage_history_daily",
    job=coverage_history_job,
    cron_schedule="30 0 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Rebuilds the coverage models and closes yesterday's history.",
)

evidence_checks_hourly = dg.ScheduleDefinition(
    name="evidence_checks_hourly",
    job=evidence_checks_job,
    cron_schedule="15 * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Says over all organizations which evidence is stale or not authorized.",
)

audit_anchors_daily = dg.ScheduleDefinition(
    name="audit_anchors_daily",
    job=audit_anchors_job,
    cron_schedule="0 1 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Puts the head of every organization's audit log under S3 Object Lock.",
)
