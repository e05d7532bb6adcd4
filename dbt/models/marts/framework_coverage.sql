-- By the bits of all controls, and not by control_coverage: its rows of a thousand organizations
-- take thirty times as long. A test holds that the two agree.
{%- set its_controls = 'from frameworks.first_control for frameworks.controls_total' %}
with {{ judged_organizations() }},

counted as (
  select
    judged.organization_id,
    judged.next_stale_at,
    judged.fresh_places,
    judged.fresh_stale_at,
    frameworks.framework,
    frameworks.framework_version,
    frameworks.controls_total,
    frameworks.places_needed,
    frameworks.is_every_type_needed,
    bit_count(substring({{ with_unbrought('judged.unfresh') }} {{ its_controls }}))::integer
      as unfresh_controls,
    bit_count(substring({{ with_unbrought('judged.unproven') }} {{ its_controls }}))::integer
      as unproven_controls,
    bit_count(substring({{ with_unbrought('judged.not_passing') }} {{ its_controls }}))::integer
      as not_passing_controls
  from judged
  cross join totals
  cross join {{ ref('int_framework_controls') }} as frameworks
),

-- Proven and not passing is not applicable, and fresh.
shares as (
  select
    *,
    controls_total - (not_passing_controls - unproven_controls) as controls_applicable
  from counted
)

select
  organization_id,
  framework,
  framework_version,
  controls_total,
  controls_applicable,
  controls_applicable - unfresh_controls as controls_covered,
  controls_total - not_passing_controls as controls_passing,
  {{ percent('controls_applicable - unfresh_controls', 'controls_applicable') }} as covered_pct,
  {{ percent('controls_total - not_passing_controls', 'controls_applicable') }} as passing_pct,
  case
    when is_every_type_needed then next_stale_at
    else (
      select min(fresh.stale_at)
      from unnest(shares.fresh_places, shares.fresh_stale_at) as fresh (place, stale_at)
      where fresh.place = any(shares.places_needed)
    )
  end as next_stale_at
from shares
