-- The short way over sets of evidence types comes to what the frameworks' controls add up to.
with summed as (
  select
    organization_id,
    {{ percent('sum(controls_covered)', 'sum(controls_applicable)') }} as covered_pct,
    {{ percent('sum(controls_passing)', 'sum(controls_applicable)') }} as passing_pct
  from {{ ref('framework_coverage') }}
  group by organization_id
)

select
  organizations.organization_id,
  organizations.covered_pct,
  organizations.passing_pct
from {{ ref('organization_coverage') }} as organizations
full join summed on organizations.organization_id = summed.organization_id
where
  (organizations.organization_id, organizations.covered_pct, organizations.passing_pct)
  is distinct from (summed.organization_id, summed.covered_pct, summed.passing_pct)
