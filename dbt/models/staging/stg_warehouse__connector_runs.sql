select
  organization_id,
  run_id,
  connection_id,
  status,
  error_code,
  started_at,
  finished_at
from {{ source('warehouse', 'connector_runs') }}
