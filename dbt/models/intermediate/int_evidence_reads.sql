select
  expected.organization_id,
  expected.connection_id,
  expected.account_id,
  expected.connector,
  expected.evidence_type,
  state.evidence_id,
  state.verdict,
  state.fingerprint,
  state.last_ok_at,
  coalesce(state.last_ok_at, expected.connected_at)
  + make_interval(hours => expected.stale_after_hours) as stale_at,
  state.last_attempt_at,
  state.last_attempt_status,
  state.last_error_code
from {{ ref('int_evidence_expected') }} as expected
left join {{ ref('stg_warehouse__evidence_state') }} as state
  on
    expected.organization_id = state.organization_id
    and expected.connection_id = state.connection_id
    and expected.evidence_type = state.evidence_type
