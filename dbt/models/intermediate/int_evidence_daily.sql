-- What stood at the end of each closed day, from observations alone: it can be told again at any
-- time, also for days without a single sync.
with reads as (
  select
    days.organization_id,
    days.as_of_date,
    days.closed_at,
    connections.connection_id,
    evidence_types.evidence_type,
    evidence.verdict,
    attempt.read_status as last_attempt_status,
    coalesce(good.true_at, connections.connected_at) + make_interval(
      hours => least(connectors.stale_after_hours, connections.stale_after_hours)
    ) as stale_at
  from {{ ref('int_history_days') }} as days
  inner join {{ ref('stg_warehouse__connections') }} as connections
    on
      days.organization_id = connections.organization_id
      and days.closed_at > connections.connected_at
      and (connections.deleted_at is null or connections.deleted_at >= days.closed_at)
  inner join {{ ref('connectors') }} as connectors
    on connections.connector = connectors.connector
  inner join {{ ref('evidence_types') }} as evidence_types
    on connections.connector = evidence_types.connector
  left join lateral (
    select observations.read_status
    from {{ ref('stg_warehouse__evidence_observations') }} as observations
    where
      observations.organization_id = connections.organization_id
      and observations.connection_id = connections.connection_id
      and observations.evidence_type = evidence_types.evidence_type
      and observations.observed_at < days.closed_at
    order by observations.observed_at desc
    limit 1
  ) as attempt on true
  left join lateral (
    select observations.evidence_id, observations.true_at
    from {{ ref('stg_warehouse__evidence_observations') }} as observations
    where
      observations.organization_id = connections.organization_id
      and observations.connection_id = connections.connection_id
      and observations.evidence_type = evidence_types.evidence_type
      and observations.observed_at < days.closed_at
      and observations.read_status = 'ok'
    order by observations.observed_at desc
    limit 1
  ) as good on true
  left join {{ ref('stg_warehouse__evidence') }} as evidence
    on
      connections.organization_id = evidence.organization_id
      and good.evidence_id = evidence.evidence_id
)

select
  organization_id,
  as_of_date,
  connection_id,
  evidence_type,
  {{ evidence_status('verdict', 'last_attempt_status', 'stale_at', 'closed_at') }}
    as evidence_status,
  verdict is not null and closed_at <= stale_at as is_fresh
from reads
