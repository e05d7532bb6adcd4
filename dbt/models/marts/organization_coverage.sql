-- An organization without a connection lacks everything.
with judged as (
  select
    named.organization_id,
    named.organization_name,
    organizations.connections_live,
    organizations.evidence_required,
    organizations.evidence_fresh,
    organizations.evidence_stale,
    organizations.evidence_missing,
    organizations.evidence_failing,
    organizations.last_ok_at,
    organizations.next_stale_at,
    coalesce(organizations.unfresh_bits, -1) as unfresh_bits,
    coalesce(organizations.open_bits, -1) as open_bits,
    coalesce(organizations.idle_bits, 0) as idle_bits
  from {{ ref('stg_warehouse__organizations') }} as named
  left join {{ ref('int_organization_evidence') }} as organizations
    on named.organization_id = organizations.organization_id
  where named.deleted_at is null
),

-- control_coverage in one step for all controls that need the same. Not applicable are those
-- with nothing open that do not pass; their evidence is fresh, so they are among the covered.
controls as (
  select
    judged.organization_id,
    sum(needs.controls) as controls_total,
    sum(case when needs.needed_bits & judged.unfresh_bits = 0 then needs.controls else 0 end)
      as controls_fresh,
    sum(case when needs.needed_bits & judged.open_bits = 0 then needs.controls else 0 end)
      as controls_closed,
    sum(
      case when needs.needed_bits & (judged.open_bits | judged.idle_bits) = 0
        then needs.controls else 0 end
    ) as controls_passing
  from judged
  cross join {{ ref('int_control_needs') }} as needs
  group by judged.organization_id
),

shares as (
  select
    organization_id,
    controls_total - (controls_closed - controls_passing) as controls_applicable,
    controls_fresh - (controls_closed - controls_passing) as controls_covered,
    controls_passing
  from controls
),

evidence_types as (
  select count(*)::integer as evidence_types
  from {{ ref('int_evidence_bits') }}
)

select
  judged.organization_id,
  judged.organization_name,
  coalesce(judged.connections_live, 0) as connections_live,
  coalesce(judged.evidence_required, evidence_types.evidence_types) as evidence_required,
  coalesce(judged.evidence_fresh, 0) as evidence_fresh,
  coalesce(judged.evidence_stale, 0) as evidence_stale,
  coalesce(judged.evidence_missing, evidence_types.evidence_types) as evidence_missing,
  coalesce(judged.evidence_failing, 0) as evidence_failing,
  {{ percent('shares.controls_covered', 'shares.controls_applicable') }} as covered_pct,
  {{ percent('shares.controls_passing', 'shares.controls_applicable') }} as passing_pct,
  judged.last_ok_at,
  judged.next_stale_at
from judged
cross join evidence_types
left join shares on judged.organization_id = shares.organization_id
