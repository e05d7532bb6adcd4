with organizations as (
  select organization_id
  from {{ ref('stg_warehouse__organizations') }}
  where deleted_at is null
),

connections as (
  select *
  from {{ ref('stg_warehouse__connections') }}
  where deleted_at is null and status <> 'revoked'
)

select
  connections.organization_id,
  connections.connection_id,
  connections.account_id,
  connections.connector,
  connections.status,
  connections.connected_at,
  least(connectors.stale_after_hours, connections.stale_after_hours) as stale_after_hours
from connections
inner join organizations
  on connections.organization_id = organizations.organization_id
inner join {{ ref('connectors') }} as connectors
  on connections.connector = connectors.connector
