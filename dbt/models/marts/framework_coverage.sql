with controls as (
  select
    organization_id,
    framework,
    framework_version,
    count(*)::integer as controls_total,
    (count(*) filter (where control_status <> 'not_applicable'))::integer as controls_applicable,
    (count(*) filter (where is_covered and control_status <> 'not_applicable'))::integer
      as controls_covered,
    (count(*) filter (where control_status = 'passing'))::integer as controls_passing,
    min(next_stale_at) as next_stale_at
  from {{ ref('control_coverage') }}
  group by organization_id, framework, framework_version
)

select
  organization_id,
  framework,
  framework_version,
  controls_total,
  controls_applicable,
  controls_covered,
  controls_passing,
  {{ percent('controls_covered', 'controls_applicable') }} as covered_pct,
  {{ percent('controls_passing', 'controls_applicable') }} as passing_pct,
  next_stale_at
from controls
