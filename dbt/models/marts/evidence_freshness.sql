with reads as (
  select
    expected.organization_id,
    expected.connection_id,
    expected.account_id,
    expected.connector,
    expected.evidence_type,
    state.verdict,
    state.fingerprint,
    state.last_ok_at,
    state.last_attempt_at,
    state.last_attempt_status,
    state.last_error_code,
    coalesce(state.last_ok_at, expected.connected_at)
    + make_interval(hours => expected.stale_after_hours) as stale_at
  from {{ ref('int_evidence_expected') }} as expected
  left join {{ ref('stg_warehouse__evidence_state') }} as state
    on
      expected.organization_id = state.organization_id
      and expected.connection_id = state.connection_id
      and expected.evidence_type = state.evidence_type
)

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
from reads
