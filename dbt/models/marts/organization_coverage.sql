-- What any connection lacks is lacking.
with judged as (
  select
    organization_id,
    organization_name,
    count(connection_id)::integer as connections_live,
    sum(evidence_types)::integer as evidence_types,
    (sum(evidence_types) filter (where connection_id is not null))::integer as evidence_required,
    sum(evidence_fresh)::integer as evidence_fresh,
    sum(evidence_stale)::integer as evidence_stale,
    sum(evidence_missing)::integer as evidence_missing,
    sum(evidence_failing)::integer as evidence_failing,
    max(last_ok_at) as last_ok_at,
    min(next_stale_at) as next_stale_at,
    bit_or(unfresh) as unfresh,
    bit_or(unproven) as unproven,
    bit_or(not_passing) as not_passing
  from {{ ref('int_connections_judged') }}
  group by organization_id, organization_name
),

counted as (
  select
    *,
    length(unfresh) as controls,
    bit_count(unfresh) as unfresh_controls,
    bit_count(unproven) as unproven_controls,
    bit_count(not_passing) as not_passing_controls
  from judged
),

-- Proven and not passing is not applicable, and fresh.
shares as (
  select
    *,
    controls - (not_passing_controls - unproven_controls) as applicable_controls
  from counted
)

select
  organization_id,
  organization_name,
  connections_live,
  coalesce(evidence_required, evidence_types) as evidence_required,
  evidence_fresh,
  evidence_stale,
  case when connections_live = 0 then evidence_types else evidence_missing end as evidence_missing,
  evidence_failing,
  {{ percent('applicable_controls - unfresh_controls', 'applicable_controls') }} as covered_pct,
  {{ percent('controls - not_passing_controls', 'applicable_controls') }} as passing_pct,
  last_ok_at,
  next_stale_at
from shares
