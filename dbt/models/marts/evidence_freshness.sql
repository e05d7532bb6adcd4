select
  organization_id,
  connection_id,
  account_id,
  connector,
  evidence_type,
  {{ evidence_status('verdict', 'last_attempt_status', 'stale_at', as_of()) }} as evidence_status,
  verdict is not null and {{ as_of() }} <= stale_at as is_fresh,
  last_ok_at,
  stale_at,
  round(extract(epoch from {{ as_of() }} - last_ok_at) / 3600, 2)::numeric(12, 2) as age_hours,
  last_attempt_at,
  last_attempt_status,
  last_error_code,
  fingerprint
from {{ ref('int_evidence_reads') }}
