-- The one pass over an organization's evidence comes to what its frameworks' controls and the
-- pieces of evidence add up to.
with summed as (
  select
    organization_id,
    {{ percent('sum(controls_covered)', 'sum(controls_applicable)') }} as covered_pct,
    {{ percent('sum(controls_passing)', 'sum(controls_applicable)') }} as passing_pct
  from {{ ref('framework_coverage') }}
  group by organization_id
),

counted as (
  select
    organization_id,
    count(distinct connection_id) as connections_live,
    count(*) as evidence_required,
    count(*) filter (where is_fresh) as evidence_fresh,
    count(*) filter (where evidence_status = 'stale') as evidence_stale,
    count(*) filter (where evidence_status in ('missing', 'not_authorized')) as evidence_missing,
    count(*) filter (where evidence_status = 'fail') as evidence_failing,
    max(last_ok_at) as last_ok_at,
    min(stale_at) filter (where is_fresh) as next_stale_at
  from {{ ref('evidence_freshness') }}
  group by organization_id
),

expected as (
  select
    summed.organization_id,
    coalesce(counted.connections_live, 0) as connections_live,
    coalesce(counted.evidence_required, types.evidence_required) as evidence_required,
    coalesce(counted.evidence_fresh, 0) as evidence_fresh,
    coalesce(counted.evidence_stale, 0) as evidence_stale,
    coalesce(counted.evidence_missing, types.evidence_required) as evidence_missing,
    coalesce(counted.evidence_failing, 0) as evidence_failing,
    summed.covered_pct,
    summed.passing_pct,
    counted.last_ok_at,
    counted.next_stale_at
  from summed
  cross join (
    select count(*) as evidence_required
    from {{ ref('evidence_types') }}
  ) as types
  left join counted on summed.organization_id = counted.organization_id
),

told as (
  select
    organization_id,
    connections_live,
    evidence_required,
    evidence_fresh,
    evidence_stale,
    evidence_missing,
    evidence_failing,
    covered_pct,
    passing_pct,
    last_ok_at,
    next_stale_at
  from {{ ref('organization_coverage') }}
)

(select * from told except select * from expected)
union all
(select * from expected except select * from told)
