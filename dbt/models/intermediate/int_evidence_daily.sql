-- What stood at the end of each closed day, from observations alone: it can be told again at any
-- time, also for days without a single sync.
{%- set observations = ref('stg_warehouse__evidence_observations') %}
with expected as (
  select
    days.organization_id,
    days.as_of_date,
    days.closed_at,
    connections.connection_id,
    evidence_types.evidence_type,
    connections.connected_at,
    least(connectors.stale_after_hours, connections.stale_after_hours) as stale_after_hours
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
),

reads as (
  select
    expected.organization_id,
    expected.as_of_date,
    expected.closed_at,
    expected.connection_id,
    expected.evidence_type,
    evidence.verdict,
    attempt.read_status as last_attempt_status,
    coalesce(good.true_at, expected.connected_at)
    + make_interval(hours => expected.stale_after_hours) as stale_at
  from expected
  left join {{ newest_observation(
    observations, 'expected', ['read_status'], ['observed_at < expected.closed_at']
  ) }} as attempt on true
  left join {{ newest_observation(
    observations, 'expected', ['evidence_id', 'true_at'],
    ['observed_at < expected.closed_at', "read_status = 'ok'"]
  ) }} as good on true
  left join {{ ref('stg_warehouse__evidence') }} as evidence
    on
      expected.organization_id = evidence.organization_id
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
