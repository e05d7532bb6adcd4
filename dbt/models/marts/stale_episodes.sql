-- An episode begins when evidence outlives its threshold and ends with the next good read. Its
-- key is the read it began from, so a changed threshold moves it and opens no second one.
with spans as (
  select
    *,
    lead(read_at) over (
      partition by organization_id, connection_id, evidence_type
      order by read_at, run_id nulls first
    ) as next_read_at
  from {{ ref('int_recent_good_reads') }}
),

episodes as (
  select
    spans.organization_id,
    spans.connection_id,
    connections.account_id,
    spans.evidence_type,
    spans.run_id,
    case when spans.run_id is not null then spans.true_at end as last_ok_at,
    spans.true_at + make_interval(
      hours => least(connectors.stale_after_hours, connections.stale_after_hours)
    ) as stale_at,
    least(spans.next_read_at, connections.deleted_at) as resolved_at
  from spans
  inner join {{ ref('stg_warehouse__connections') }} as connections
    on
      spans.organization_id = connections.organization_id
      and spans.connection_id = connections.connection_id
  inner join {{ ref('stg_warehouse__organizations') }} as organizations
    on spans.organization_id = organizations.organization_id
  inner join {{ ref('connectors') }} as connectors
    on connections.connector = connectors.connector
  where organizations.deleted_at is null
)

select
  organization_id,
  connection_id,
  account_id,
  evidence_type,
  concat_ws(':', connection_id, evidence_type, coalesce(run_id::text, 'never')) as episode_key,
  last_ok_at,
  stale_at,
  resolved_at,
  resolved_at is null as is_open
from episodes
where stale_at < coalesce(resolved_at, {{ as_of() }})
