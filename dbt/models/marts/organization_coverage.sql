with connections as (
  select
    organization_id,
    count(*)::integer as connections_live
  from {{ ref('int_connections_live') }}
  group by organization_id
),

evidence as (
  select
    organization_id,
    count(*)::integer as evidence_required,
    (count(*) filter (where is_fresh))::integer as evidence_fresh,
    (count(*) filter (where evidence_status = 'stale'))::integer as evidence_stale,
    (count(*) filter (where evidence_status in ('missing', 'not_authorized')))::integer
      as evidence_missing,
    (count(*) filter (where evidence_status = 'fail'))::integer as evidence_failing,
    max(last_ok_at) as last_ok_at,
    min(stale_at) filter (where is_fresh) as next_stale_at
  from {{ ref('evidence_freshness') }}
  group by organization_id
),

frameworks as (
  select
    organization_id,
    sum(controls_applicable) as controls_applicable,
    sum(controls_covered) as controls_covered,
    sum(controls_passing) as controls_passing
  from {{ ref('framework_coverage') }}
  group by organization_id
),

-- What an organization without a connection lacks: one of each.
evidence_types as (
  select count(*)::integer as evidence_types
  from {{ ref('evidence_types') }}
)

select
  organizations.organization_id,
  organizations.organization_name,
  coalesce(connections.connections_live, 0) as connections_live,
  coalesce(evidence.evidence_required, evidence_types.evidence_types) as evidence_required,
  coalesce(evidence.evidence_fresh, 0) as evidence_fresh,
  coalesce(evidence.evidence_stale, 0) as evidence_stale,
  coalesce(evidence.evidence_missing, evidence_types.evidence_types) as evidence_missing,
  coalesce(evidence.evidence_failing, 0) as evidence_failing,
  {{ percent('frameworks.controls_covered', 'frameworks.controls_applicable') }} as covered_pct,
  {{ percent('frameworks.controls_passing', 'frameworks.controls_applicable') }} as passing_pct,
  evidence.last_ok_at,
  evidence.next_stale_at
from {{ ref('stg_warehouse__organizations') }} as organizations
cross join evidence_types
left join connections on organizations.organization_id = connections.organization_id
left join evidence on organizations.organization_id = evidence.organization_id
left join frameworks on organizations.organization_id = frameworks.organization_id
where organizations.deleted_at is null
