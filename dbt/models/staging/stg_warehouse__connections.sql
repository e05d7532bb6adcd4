select
  organization_id,
  connection_id,
  account_id,
  connector,
  status,
  stale_after_hours,
  connected_at,
  deleted_at
from {{ source('warehouse', 'connections') }}
