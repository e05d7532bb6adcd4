"""Sensors: the warehouse's organizations become partitions, dead runs end, alerts go out."""

from collections.abc import Sequence

import dagster as dg

from thirdsentry_pipeline.domain.shards import WHOLE, Shard
from thirdsentry_pipeline.domain.time import utc_now
from thirdsentry_pipeline.operations.alert_sinks import sinks_for
from thirdsentry_pipeline.operations.alerts import evaluate_alerts
from thirdsentry_pipeline.operations.freshness import CoverageNotBuiltError
from thirdsentry_pipeline.operations.sweeping import sweep_organizations
from thirdsentry_pipeline.partitions import (
    COMFORTABLE_PARTITIONS,
    days_in_window,
    organization_partitions_of,
    organizations_of,
)
from thirdsentry_pipeline.resources.assume_role import AssumeRoleResource
from thirdsentry_pipeline.resources.warehouse import WarehouseResource
from thirdsentry_pipeline.settings import Settings
from thirdsentry_pipeline.warehouse.scope import live_organization_ids

REGISTRY_INTERVAL_SECONDS = 60
SWEEP_INTERVAL_SECONDS = 600
ALERTS_INTERVAL_SECONDS = 60
# Dagster ends an evaluation after 60 s; the last organization may wait for both sinks.
ALERTS_SECONDS = 25.0


def registry_of(shard: Shard) -> dg.SensorDefinition:
    """The sensor that keeps the set of one shard's organizations."""

    @dg.sensor(
        name="organization_registry",
        minimum_interval_seconds=REGISTRY_INTERVAL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Adds a partition per new organization; takes those of ended ones away.",
    )
    def organization_registry(
        context: dg.SensorEvaluationContext, warehouse: WarehouseResource
    ) -> dg.SensorResult | dg.SkipReason:
        """Compare the warehouse's organizations with the dynamic partitions.

        An organization keeps its partition from its first day until its last connection is
        revoked, or until another shard takes it.
        """
        known = context.instance.get_dynamic_partitions(organizations_of(shard))
        live = shard.of(live_organization_ids(warehouse.scheduler, "partitioned"))
        days = days_in_window(utc_now(), Settings.from_environment().partition_window_days)
        crowd = crowding(len(live), days)
        if crowd:
            context.log.warning(crowd)
        requests = registry_changes(known, live, organization_partitions_of(shard))
        if not requests:
            return dg.SkipReason(crowd or f"All {len(known)} organizations have their partitions.")
        return dg.SensorResult(dynamic_partitions_requests=requests)

    return organization_registry


organization_registry = registry_of(WHOLE)


def crowding(organizations: int, days: int) -> str | None:
    """What to do about a location with more partitions than Dagster's pages are quick with."""
    partitions = organizations * days
    if partitions <= COMFORTABLE_PARTITIONS:
        return None
    return (
        f"{organizations} organizations on {days} days make {partitions} partitions, and Dagster's "
        f"pages slow down above {COMFORTABLE_PARTITIONS}: make THIRDSENTRY_PARTITION_WINDOW_DAYS "
        "smaller, or use more shards (docs/deployment.md)."
    )


def registry_changes(
    known: Sequence[str],
    live: Sequence[str],
    organizations: dg.DynamicPartitionsDefinition,
) -> list[dg.AddDynamicPartitionsRequest | dg.DeleteDynamicPartitionsRequest]:
    """What to add and what to take away so that the partitions are the live organizations."""
    requests: list[dg.AddDynamicPartitionsRequest | dg.DeleteDynamicPartitionsRequest] = []
    known_ids, live_ids = set(known), set(live)
    added = [one for one in live if one not in known_ids]
    gone = [one for one in known if one not in live_ids]
    if added:
        requests.append(organizations.build_add_request(added))
    if gone:
        requests.append(organizations.build_delete_request(gone))
    return requests


@dg.sensor(
    name="abandoned_runs",
    minimum_interval_seconds=SWEEP_INTERVAL_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Ends connector runs whose process died before it could.",
)
def abandoned_runs(warehouse: WarehouseResource) -> dg.SkipReason:
    """Mark them abandoned in the warehouse; Dagster's own run monitoring ends its runs."""
    swept = sweep_organizations(warehouse.pipeline, warehouse.scheduler)
    return dg.SkipReason(f"{len(swept)} connector runs were abandoned.")


@dg.sensor(
    name="coverage_alerts",
    minimum_interval_seconds=ALERTS_INTERVAL_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Opens, resolves and delivers alerts on stale evidence and failing connections.",
)
def coverage_alerts(
    context: dg.SensorEvaluationContext,
    warehouse: WarehouseResource,
    assume_role: AssumeRoleResource,
) -> dg.SensorResult | dg.SkipReason:
    """Go through the organizations; the cursor is where a round once ran out of time."""
    sinks = sinks_for(Settings.from_environment(), assume_role.platform())
    try:
        done = evaluate_alerts(
            warehouse.pipeline,
            warehouse.scheduler,
            sinks,
            start_after=context.cursor,
            seconds=ALERTS_SECONDS,
        )
    except CoverageNotBuiltError as error:
        return dg.SkipReason(str(error))
    for failure in done.errors:
        context.log.warning("%s: %s", failure.organization_id, failure.error)
    return dg.SensorResult(skip_reason=done.sentence, cursor=done.stopped_after or context.cursor)
