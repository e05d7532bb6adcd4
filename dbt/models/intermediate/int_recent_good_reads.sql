-- Alerts ask every minute, so this looks back 60 days, twice as far as they do, and not through
-- years. The newest good read before that, or connecting, is where the first span begins.
with read_by as (
  select
    connections.organization_id,
    connections.connection_id,
    evidence_types.evidence_type,
    connections.connected_at,
    {{ as_of() }} - interval '1440 hours' as horizon
  from {{ ref('stg_warehouse__connections') }} as connections
  inner join {{ ref('evidence_types') }} as evidence_types
    on connections.connector = evidence_types.connector
)

select
  read_by.organization_id,
  read_by.connection_id,
  read_by.evidence_type,
  earlier.run_id,
  coalesce(earlier.observed_at, read_by.connected_at) as read_at,
  coalesce(earlier.true_at, read_by.connected_at) as true_at
from read_by
left join {{ newest_observation(
  ref('stg_warehouse__evidence_observations'), 'read_by', ['run_id', 'observed_at', 'true_at'],
  ['observed_at < read_by.horizon', "read_status = 'ok'"]
) }} as earlier on true
union all
select
  observations.organization_id,
  observations.connection_id,
  observations.evidence_type,
  observations.run_id,
  observations.observed_at,
  observations.true_at
from read_by
inner join {{ ref('stg_warehouse__evidence_observations') }} as observations
  on
    read_by.organization_id = observations.organization_id
    and read_by.connection_id = observations.connection_id
    and read_by.evidence_type = observations.evidence_type
    and read_by.horizon <= observations.observed_at
where observations.read_status = 'ok'
