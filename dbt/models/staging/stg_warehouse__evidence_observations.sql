select
  organization_id,
  run_id,
  connection_id,
  evidence_type,
  evidence_id,
  read_status,
  error_code,
  source_generated_at,
  observed_at,
  case when read_status = 'ok' then least(observed_at, source_generated_at) end as true_at
from {{ source('warehouse', 'evidence_observations') }}
