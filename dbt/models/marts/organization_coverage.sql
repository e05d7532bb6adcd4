with {{ judged_organizations() }},

counted as (
  select
    judged.*,
    totals.evidence_types,
    totals.controls,
    bit_count({{ with_unbrought('judged.unfresh') }}) as unfresh_controls,
    bit_count({{ with_unbrought('judged.unproven') }}) as unproven_controls,
    bit_count({{ with_unbrought('judged.not_passing') }}) as not_passing_controls
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
