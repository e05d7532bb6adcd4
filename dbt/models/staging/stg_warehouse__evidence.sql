select
  organization_id,
  evidence_id,
  evidence_type,
  verdict,
  payload
from {{ source('warehouse', 'evidence') }}
