-- The state table is a projection: told again from the observations it must be the same. Every
-- night, so the newest of each are looked up, which takes no longer after years.
with read_by as (
  select
    connections.organization_id,
    connections.connection_id,
    evidence_types.evidence_type
  from {{ ref('stg_warehouse__connections') }} as connections
  inner join {{ ref('evidence_types') }} as evidence_types
    on connections.connector = evidence_types.connector
),

attempts as (
  select
    read_by.organization_id,
    read_by.connection_id,
    read_by.evidence_type,
    newest.observed_at,
    newest.read_status,
    newest.error_code
  from read_by
  cross join {{ newest_observation(
    ref('stg_warehouse__evidence_observations'), 'read_by',
    ['observed_at', 'read_status', 'error_code']
  ) }} as newest
),

good as (
  select
    read_by.organization_id,
    read_by.connection_id,
    read_by.evidence_type,
    newest.evidence_id,
    newest.true_at
  from read_by
  cross join {{ newest_observation(
    ref('stg_warehouse__evidence_observations'), 'read_by', ['evidence_id', 'true_at'],
    ["read_status = 'ok'"]
  ) }} as newest
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
