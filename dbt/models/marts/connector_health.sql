with reads as (
  select
    organization_id,
    connection_id,
    max(last_ok_at) as last_ok_at
  from {{ ref('stg_warehouse__evidence_state') }}
  group by organization_id, connection_id
),

health as (
  select
    connections.organization_id,
    connections.connection_id,
    connections.account_id,
    connections.connector,
    connections.status,
    runs.last_run_at,
    runs.last_run_status,
    reads.last_ok_at,
    runs.consecutive_failures,
    runs.last_error_code,
    coalesce(reads.last_ok_at, connections.connected_at) + make_interval(
      hours => least(connectors.stale_after_hours, connections.stale_after_hours)
    ) as stale_at
  from {{ ref('stg_warehouse__connections') }} as connections
  inner join {{ ref('stg_warehouse__organizations') }} as organizations
    on connections.organization_id = organizations.organization_id
  inner join {{ ref('connectors') }} as connectors
    on connections.connector = connectors.connector
  left join {{ ref('int_connector_runs_summary') }} as runs
    on
      connections.organization_id = runs.organization_id
      and connections.connection_id = runs.connection_id
  left join reads
    on
      connections.organization_id = reads.organization_id
      and connections.connection_id = reads.connection_id
  where organizations.deleted_at is null
)

select
  organization_id,
  connection_id,
  account_id,
  connector,
  status,
  last_run_at,
  last_run_status,
  last_ok_at,
  consecutive_failures,
  last_error_code,
  status <> 'revoked' and {{ as_of() }} > stale_at as is_stale
from health
