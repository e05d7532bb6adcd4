select
  connections.organization_id,
  connections.connection_id,
  connections.account_id,
  connections.connector,
  evidence_types.evidence_type,
  connections.connected_at,
  connections.stale_after_hours
from {{ ref('int_connections_live') }} as connections
inner join {{ ref('evidence_types') }} as evidence_types
  on connections.connector = evidence_types.connector
