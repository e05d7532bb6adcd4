"""How evidence is partitioned: one partition per UTC day and organization.

Dagster's pages slow down above 100,000 partitions per asset, so the day dimension reaches
back a window only; the warehouse keeps all history.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import dagster as dg

from thirdsentry_pipeline.domain.identifiers import parse_day
from thirdsentry_pipeline.domain.shards import WHOLE, Shard
from thirdsentry_pipeline.domain.time import utc_now
from thirdsentry_pipeline.settings import Settings

DAY = "day"
ORGANIZATION = "organization"

ORGANIZATIONS = "organizations"
COMFORTABLE_PARTITIONS = 100_000
"""Of one asset in one code location; Dagster's pages slow down above."""


def organizations_of(shard: Shard) -> str:
    """The name of the shard's set of organizations.

    It names no count: when shards are added, each keeps its set, and only organizations that
    change places leave one and enter another.
    """
    return ORGANIZATIONS if shard.is_whole else f"{ORGANIZATIONS}_shard_{shard.number}"


def organization_partitions_of(shard: Shard) -> dg.DynamicPartitionsDefinition:
    """The shard's organizations as a dimension."""
    return dg.DynamicPartitionsDefinition(name=organizations_of(shard))


def window_start(now: datetime, days: int) -> datetime:
    """The first of the month in which ``now`` less ``days`` lies, so that it moves rarely."""
    reach = (now - timedelta(days=days)).date()
    return datetime(reach.year, reach.month, 1, tzinfo=UTC)


def days_in_window(now: datetime, days: int) -> int:
    """How many days the window that reaches back ``days`` has, the day under way included."""
    return (now - window_start(now, days)).days + 1


def evidence_partitions_of(
    now: datetime, window_days: int, shard: Shard = WHOLE
) -> dg.MultiPartitionsDefinition:
    """Day and organization; the day under way has its partition already."""
    days = dg.DailyPartitionsDefinition(
        start_date=window_start(now, window_days), timezone="UTC", end_offset=1
    )
    return dg.MultiPartitionsDefinition(
        {DAY: days, ORGANIZATION: organization_partitions_of(shard)}
    )


def current_partitions_of(shard: Shard) -> dg.MultiPartitionsDefinition:
    """The shard's partitions in the window that the environment asks for."""
    window_days = Settings.from_environment().partition_window_days
    return evidence_partitions_of(utc_now(), window_days, shard)


evidence_partitions = current_partitions_of(WHOLE)


def partition_key(day: date, organization_id: str) -> dg.MultiPartitionKey:
    """The key of one organization's day, reading ``2026-11-23|<organization id>``."""
    return dg.MultiPartitionKey({DAY: day.isoformat(), ORGANIZATION: organization_id})


def day_and_organization(key: str) -> tuple[date, str]:
    """The UTC day and the organization of a partition key."""
    parts = evidence_partitions.get_partition_key_from_str(key).keys_by_dimension
    return parse_day(parts[DAY]), parts[ORGANIZATION]
