"""What there is to alert on in one organization, and which open alerts are over.

An episode's key names what it began from, never a threshold or a moment, so two evaluators find
the same one and a changed threshold makes no second one. An episode lasts until it recovers: a
threshold that is raised meanwhile does not end it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from thirdsentry_pipeline.domain.time import iso_z
from thirdsentry_pipeline.warehouse.alerts import ALERT_COLUMNS, RECENT, Alert

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import Connection as DatabaseConnection
    from sqlalchemy import Row

    from thirdsentry_pipeline.warehouse.alerts import AlertKind

_BUILT = text("select to_regclass('coverage.stale_episodes') is not null")

_STALE = text(
    """
    select e.episode_key, e.connection_id, e.evidence_type, e.stale_at as opened_at,
           e.resolved_at, e.last_ok_at
    from coverage.stale_episodes as e
    where
      (e.is_open or e.resolved_at > clock_timestamp() - cast(:closed_within as interval))
      and not exists (
        select from warehouse.alerts as a
        where a.organization_id = e.organization_id and a.episode_key = e.episode_key
      )
    order by e.episode_key
    """
)

# A span begins with a good run (the zeroth with none) and holds the failures after it. A run that
# began before an earlier one had failed is the same attempt: two daemons made it. Asked every
# minute, so it does not go through years: older than 60 days counts only the newest good run, where
# a streak that still matters began, and what failed after it.
_SYNC_FAILED = text(
    """
    with since as (
      select k.organization_id, k.connection_id, coalesce((
        select r.started_at
        from warehouse.connector_runs as r
        where
          r.organization_id = k.organization_id
          and r.connection_id = k.connection_id
          and r.status in ('succeeded', 'partial')
          and r.started_at < clock_timestamp() - interval '1440 hours'
        order by r.started_at desc
        limit 1
      ), '-infinity') as began_at
      from warehouse.connections as k
    ),

    ended as (
      select
        r.organization_id, r.connection_id, r.run_id, r.finished_at, r.error_code,
        r.status in ('succeeded', 'partial') as is_good,
        count(*) filter (where r.status in ('succeeded', 'partial')) over (
          partition by r.connection_id order by r.started_at, r.run_id
        ) as span,
        row_number() over (partition by r.connection_id order by r.started_at, r.run_id) as place,
        coalesce(r.started_at >= max(r.finished_at) filter (where r.status = 'failed') over (
          partition by r.connection_id order by r.started_at, r.run_id
          rows between unbounded preceding and 1 preceding
        ), true) as is_another
      from since
      inner join warehouse.connector_runs as r using (organization_id, connection_id)
      where r.status <> 'running' and r.started_at >= since.began_at
    ),

    streaks as (
      select
        organization_id, connection_id, span,
        count(*) filter (where is_another) as consecutive_failures,
        (array_agg(finished_at order by place) filter (where is_another))[2] as opened_at,
        (array_agg(error_code order by place desc))[1] as error_code
      from ended
      where not is_good
      group by organization_id, connection_id, span
      having count(*) filter (where is_another) > 1
    ),

    episodes as (
      select
        s.organization_id, s.connection_id, s.consecutive_failures, s.opened_at, s.error_code,
        concat_ws(':', s.connection_id, 'sync_failed', coalesce(began.run_id::text, 'never'))
          as episode_key,
        least(recovered.finished_at, k.deleted_at) as resolved_at,
        k.deleted_at
      from streaks as s
      inner join warehouse.connections as k using (organization_id, connection_id)
      left join ended as began
        on began.connection_id = s.connection_id and began.span = s.span and began.is_good
      left join ended as recovered
        on
          recovered.connection_id = s.connection_id
          and recovered.span = s.span + 1
          and recovered.is_good
    )

    select e.*
    from episodes as e
    where
      (e.resolved_at is null
        or e.resolved_at > clock_timestamp() - cast(:closed_within as interval))
      -- A run that a revocation cut short is nobody's failure.
      and (e.deleted_at is null or e.opened_at < e.deleted_at)
      and not exists (
        select from warehouse.alerts as a
        where a.organization_id = e.organization_id and a.episode_key = e.episode_key
      )
    order by e.episode_key
    """
)

# The earlier alert in the key tells one closing of the role from the next: there may have been
# no good run in between. One statement, so both are seen at the same moment.
_NEEDS_REAUTH = text(
    """
    select
      concat_ws(':', k.connection_id, 'needs_reauth', coalesce(earlier.alert_id::text, 'first'))
        as episode_key,
      k.connection_id,
      coalesce(last_run.finished_at, clock_timestamp()) as opened_at,
      last_run.error_code
    from warehouse.connections as k
    left join lateral (
      select a.alert_id, a.resolved_at
      from warehouse.alerts as a
      where
        a.organization_id = k.organization_id
        and a.connection_id = k.connection_id
        and a.kind = 'needs_reauth'
      order by a.resolved_at desc nulls first
      limit 1
    ) as earlier on true
    left join lateral (
      select r.finished_at, r.error_code
      from warehouse.connector_runs as r
      where
        r.organization_id = k.organization_id
        and r.connection_id = k.connection_id
        and r.status <> 'running'
      order by r.started_at desc
      limit 1
    ) as last_run on true
    where
      k.status = 'needs_reauth'
      and (earlier.alert_id is null or earlier.resolved_at is not null)
    order by k.connection_id
    """
)

# An alert that is just being delivered is skipped: the next evaluation resolves it.
_RECOVERED = text(
    f"""
    select {", ".join(f"a.{name}" for name in ALERT_COLUMNS)}
    from warehouse.alerts as a
    inner join warehouse.connections as k using (organization_id, connection_id)
    where
      a.resolved_at is null
      and (
        k.deleted_at is not null
        or (a.kind = 'needs_reauth' and k.status <> 'needs_reauth')
        or (a.kind = 'stale' and split_part(a.episode_key, ':', 3) <> coalesce((
          select o.run_id::text
          from warehouse.evidence_observations as o
          where
            o.organization_id = a.organization_id
            and o.connection_id = a.connection_id
            and o.evidence_type = a.evidence_type
            and o.read_status = 'ok'
          order by o.observed_at desc, o.run_id desc
          limit 1
        ), 'never'))
        or (a.kind = 'sync_failed' and split_part(a.episode_key, ':', 3) <> coalesce((
          select r.run_id::text
          from warehouse.connector_runs as r
          where
            r.organization_id = a.organization_id
            and r.connection_id = a.connection_id
            and r.status in ('succeeded', 'partial')
          order by r.started_at desc, r.run_id desc
          limit 1
        ), 'never'))
      )
    order by a.episode_key
    for update of a skip locked
    """
)


@dataclass(frozen=True, slots=True)
class Episode:
    """Something that is or was wrong; times in UTC, ``resolved_at`` ``None`` while it lasts."""

    kind: AlertKind
    episode_key: str
    connection_id: UUID
    opened_at: datetime
    evidence_type: str | None = None
    resolved_at: datetime | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


def episodes_are_built(c: DatabaseConnection) -> bool:
    """Whether dbt has made the view that tells stale episodes."""
    return bool(c.scalar(_BUILT))


def unknown_episodes(c: DatabaseConnection) -> list[Episode]:
    """The organization's episodes without an alert: open ones, and those that closed unseen."""
    # Retention may have had the alerts of those that closed earlier.
    window = {"closed_within": RECENT}
    return [
        *(_stale(row) for row in c.execute(_STALE, window)),
        *(_sync_failed(row) for row in c.execute(_SYNC_FAILED, window)),
        *(_needs_reauth(row) for row in c.execute(_NEEDS_REAUTH)),
    ]


def recovered_alerts(c: DatabaseConnection) -> list[Alert]:
    """Open alerts whose episode is over, locked until the transaction ends."""
    return [Alert(**row) for row in c.execute(_RECOVERED).mappings()]


def _stale(row: Row[Any]) -> Episode:
    return Episode(
        kind="stale",
        episode_key=row.episode_key,
        connection_id=row.connection_id,
        evidence_type=row.evidence_type,
        opened_at=row.opened_at,
        resolved_at=row.resolved_at,
        detail={"last_ok_at": iso_z(row.last_ok_at) if row.last_ok_at else None},
    )


def _sync_failed(row: Row[Any]) -> Episode:
    return Episode(
        kind="sync_failed",
        episode_key=row.episode_key,
        connection_id=row.connection_id,
        opened_at=row.opened_at,
        resolved_at=row.resolved_at,
        detail={
            "consecutive_failures": row.consecutive_failures,
            "error_code": row.error_code,
        },
    )


def _needs_reauth(row: Row[Any]) -> Episode:
    return Episode(
        kind="needs_reauth",
        episode_key=row.episode_key,
        connection_id=row.connection_id,
        opened_at=row.opened_at,
        detail={"error_code": row.error_code},
    )
