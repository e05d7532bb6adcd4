-- The state table is a projection: told again from the observations it must be the same.
with attempts as (
  select distinct on (organization_id, connection_id, evidence_type)
    organization_id,
    connection_id,
    evidence_type,
    observed_at,
    read_status,
    error_code
  from {{ ref('stg_warehouse__evidence_observations') }}
  order by organization_id, connection_id, evidence_type, observed_at desc
),

good as (
  select distinct on (organization_id, connection_id, evidence_type)
    organization_id,
    connection_id,
    evidence_type,
    evidence_id,
    true_at
  from {{ ref('stg_warehouse__evidence_observations') }}
  where read_status = 'ok'
  order by organization_id, connection_id, evidence_type, observed_at desc
),

recomputed as (
  select
    attempts.organization_id,
    attempts.connection_id,
    attempts.evidence_type,
    good.evidence_id,
    evidence.verdict,
    good.true_at as last_ok_at,
    attempts.observed_at as last_attempt_at,
    attempts.read_status as last_attempt_status,
    attempts.error_code as last_error_code
  from attempts
  left join good using (organization_id, connection_id, evidence_type)
  left join {{ ref('stg_warehouse__evidence') }} as evidence
    on
      good.organization_id = evidence.organization_id
      and good.evidence_id = evidence.evidence_id
),

stored as (
  select
    organization_id,
    connection_id,
    evidence_type,
    evidence_id,
    verdict,
    last_ok_at,
    last_attempt_at,
    last_attempt_status,
    last_error_code
  from {{ ref('stg_warehouse__evidence_state') }}
)

(select * from recomputed except select * from stored)
union all
(select * from stored except select * from recomputed)
