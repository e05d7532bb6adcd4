-- All of a thousand organizations at once, planned anew each time: so it judges the evidence
-- itself, in one pass, and not by evidence_freshness and control_coverage. A test holds that they
-- agree.
with evidence as (
  select
    *,
    verdict is not null and {{ as_of() }} <= stale_at as is_fresh,
    {{ as_of() }} > stale_at as is_past
  from {{ ref('int_evidence_required') }}
),

-- A control's bit is set where any evidence that it needs is so.
judged as (
  select
    organization_id,
    organization_name,
    (count(connection_id) filter (where is_first_of_connector))::integer as connections_live,
    count(connection_id)::integer as evidence_required,
    (count(*) filter (where is_fresh))::integer as evidence_fresh,
    (count(verdict) filter (where is_past))::integer as evidence_stale,
    (count(*) filter (where verdict is null and is_past))::integer as evidence_missing,
    (count(*) filter (where verdict = 'fail' and is_fresh))::integer as evidence_failing,
    max(last_ok_at) as last_ok_at,
    min(stale_at) filter (where is_fresh) as next_stale_at,
    bit_or(needed_by) filter (where not is_fresh) as unfresh,
    bit_or(needed_by) filter (where not is_fresh or verdict = 'fail') as unproven,
    bit_or(needed_by) filter (where not is_fresh or verdict <> 'pass') as not_passing
  from evidence
  group by organization_id, organization_name
),

-- What no connector brings is missing everywhere.
totals as (
  select
    count(connector)::integer as evidence_types,
    bit_count(bit_or(needed_by)) as controls,
    coalesce(
      bit_or(needed_by) filter (where connector is null),
      bit_or(needed_by) & ~bit_or(needed_by)
    ) as unbrought
  from {{ ref('int_evidence_controls') }}
),

counted as (
  select
    judged.*,
    totals.evidence_types,
    totals.controls,
    bit_count(coalesce(judged.unfresh | totals.unbrought, totals.unbrought)) as unfresh_controls,
    bit_count(coalesce(judged.unproven | totals.unbrought, totals.unbrought))
      as unproven_controls,
    bit_count(coalesce(judged.not_passing | totals.unbrought, totals.unbrought))
      as not_passing_controls
  from judged
  cross join totals
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
  coalesce(nullif(evidence_required, 0), evidence_types) as evidence_required,
  evidence_fresh,
  evidence_stale,
  case when evidence_required = 0 then evidence_types else evidence_missing end
    as evidence_missing,
  evidence_failing,
  {{ percent('applicable_controls - unfresh_controls', 'applicable_controls') }} as covered_pct,
  {{ percent('controls - not_passing_controls', 'applicable_controls') }} as passing_pct,
  last_ok_at,
  next_stale_at
from shares
