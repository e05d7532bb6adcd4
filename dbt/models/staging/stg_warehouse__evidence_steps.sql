select
  organization_id,
  connection_id,
  true_at,
  true_since,
  failing,
  not_passing
from {{ source('warehouse', 'evidence_steps') }}
