"""The evidence assets: one step reads all selected types of an organization's day.

One step because one role session per account serves all types, and one place opens and ends
the connector run. What was not read is not materialized: its partition stays missing.
"""

from collections.abc import Iterator
from contextlib import closing
from datetime import date, datetime

import dagster as dg
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    MULTIDIMENSIONAL_PARTITION_PREFIX,
    SCHEDULE_NAME_TAG,
)

from thirdsentry_pipeline.assets.evidence_results import (
    TypeOutcome,
    failure_sentence,
    may_retry,
    type_outcome,
)
from thirdsentry_pipeline.assets.evidence_specs import (
    EVIDENCE_KEYS,
    EVIDENCE_SPECS,
)
from thirdsentry_pipeline.domain.evidence import EvidenceType
from thirdsentry_pipeline.domain.identifiers import parse_day, queued_day_may_start
from thirdsentry_pipeline.domain.time import utc_now
from thirdsentry_pipeline.operations.services import Services
from thirdsentry_pipeline.operations.sync_batch import sync_organizations
from thirdsentry_pipeline.operations.sync_results import OrganizationSync, SyncStatus
from thirdsentry_pipeline.partitions import (
    DAY,
    day_and_organization,
    evidence_partitions,
    partition_key,
)
from thirdsentry_pipeline.resources.assume_role import AssumeRoleResource
from thirdsentry_pipeline.resources.keys import TenantKeysResource
from thirdsentry_pipeline.resources.warehouse import WarehouseResource
from thirdsentry_pipeline.settings import Settings

ORGANIZATION_TAG = "thirdsentry/organization"
STATUS_TAG = "thirdsentry/status"
MAX_RETRIES_TAG = "dagster/max_retries"
PARTITION_TAG = "dagster/partition"
DAY_TAGS = (
    f"{MULTIDIMENSIONAL_PARTITION_PREFIX}{DAY}",
    ASSET_PARTITION_RANGE_START_TAG,
    ASSET_PARTITION_RANGE_END_TAG,
)
"""Each holds a day, or a partition's key, which begins with one."""


@dg.multi_asset(
    name="read_aws_evidence",
    specs=EVIDENCE_SPECS,
    partitions_def=evidence_partitions,
    backfill_policy=dg.BackfillPolicy.multi_run(
        max_partitions_per_run=Settings.from_environment().organizations_per_run
    ),
    can_subset=True,
)
def aws_evidence(
    context: dg.AssetExecutionContext,
    assume_role: AssumeRoleResource,
    warehouse: WarehouseResource,
    keys: TenantKeysResource,
) -> Iterator[dg.MaterializeResult[None]]:
    """Read the selected evidence types of each organization's day and record them."""
    platform = assume_role.platform()
    services = Services(
        pipeline=warehouse.pipeline,
        scheduler=warehouse.scheduler,
        platform=platform,
        keys=keys.tenant_keys(platform),
        principal_arn=assume_role.principal_arn(),
        clock=utc_now,
    )
    types = [kind for kind in EvidenceType if EVIDENCE_KEYS[kind] in context.selected_asset_keys]
    # Before Dagster looks for the partition: a day outside of the window has none.
    for tag in DAY_TAGS:
        if tag in context.run.tags:
            day = parse_day(context.run.tags[tag].partition("|")[0])
            refuse_other_days(context, day, services.clock())
    partition_keys = list(context.partition_keys)
    refuse_two_names(context, partition_keys)
    partitions = [day_and_organization(key) for key in partition_keys]
    alone = len(partitions) == 1
    if alone:
        context.instance.add_run_tags(context.run.run_id, {ORGANIZATION_TAG: partitions[0][1]})
    syncs: list[OrganizationSync] = []
    # A person who launches a run wants every account tried, also one that waits.
    due_only = SCHEDULE_NAME_TAG in context.run.tags
    with closing(
        sync_organizations(services, partitions, types, context.run.run_id, due_only=due_only)
    ) as ended:
        for day, organization_id, sync in ended:
            syncs.append(sync)
            for kind in types:
                outcome = type_outcome(sync, kind, services.clock())
                if outcome.is_read and alone:
                    yield materialize_result(outcome)
                else:
                    context.log_event(partition_event(outcome, partition_key(day, organization_id)))
    conclude(context, syncs)


def refuse_two_names(context: dg.AssetExecutionContext, partition_keys: list[str]) -> None:
    """Let only a run through whose partition has one name.

    Dagster makes the key from the tags of its two dimensions and shows the tag of the whole: a
    run whose tags disagree would read one organization under the name of another.

    Raises:
        dagster.Failure: without retries.
    """
    shown = context.run.tags.get(PARTITION_TAG)
    if shown is not None and partition_keys != [shown]:
        message = (
            f"The run is tagged as partition {shown} and its dimensions' tags make "
            f"{', '.join(partition_keys)}: launch it again for one of them."
        )
        raise failure(context, message, may_help=False)


def refuse_other_days(context: dg.AssetExecutionContext, day: date, now: datetime) -> None:
    """Let only the day under way through: AWS can't be read in the past.

    Raises:
        dagster.Failure: without retries.
    """
    if not queued_day_may_start(day, now):
        message = (
            f"The partition of {day} can't be collected: AWS tells its present state only, and "
            f"today is {now.date()} (UTC)."
        )
        raise failure(context, message, may_help=False)


def failure(context: dg.AssetExecutionContext, message: str, *, may_help: bool) -> dg.Failure:
    """The failure to raise; where a retry can't help, the run-level retry is taken away too."""
    if not may_help:
        # The daemon reads this tag: a closed role fails again, however often it is tried.
        context.instance.add_run_tags(context.run.run_id, {MAX_RETRIES_TAG: "0"})
    return dg.Failure(message, allow_retries=may_help)


def materialize_result(outcome: TypeOutcome) -> dg.MaterializeResult[None]:
    """The materialization of a type that was read in every account."""
    return dg.MaterializeResult(
        asset_key=EVIDENCE_KEYS[outcome.evidence_type],
        metadata=outcome.metadata,
        data_version=dg.DataVersion(outcome.data_version or ""),
    )


def partition_event(
    outcome: TypeOutcome, partition: str
) -> dg.AssetMaterialization | dg.AssetObservation:
    """The event of one partition: read, or observed to be unread with the reasons."""
    event = dg.AssetMaterialization if outcome.is_read else dg.AssetObservation
    return event(
        asset_key=EVIDENCE_KEYS[outcome.evidence_type],
        partition=partition,
        metadata=outcome.metadata,
    )


def conclude(context: dg.AssetExecutionContext, syncs: list[OrganizationSync]) -> None:
    """Tag the run with how far it got, and fail it when an organization brought nothing.

    Raises:
        dagster.Failure: naming every organization that brought nothing.
    """
    statuses = {sync.status for sync in syncs}
    whole = statuses.pop() if len(statuses) == 1 else SyncStatus.PARTIAL
    context.instance.add_run_tags(context.run.run_id, {STATUS_TAG: whole.value})
    failed = sorted(
        (sync for sync in syncs if sync.status is SyncStatus.FAILED),
        key=lambda sync: sync.organization_id,
    )
    if failed:
        message = " ".join(failure_sentence(sync.organization_id, sync) for sync in failed)
        raise failure(context, message, may_help=any(may_retry(sync) for sync in failed))
