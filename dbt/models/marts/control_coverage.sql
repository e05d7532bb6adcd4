-- Every live connection must bring every evidence type a control needs. Without a connection the
-- outer join leaves one empty row per type, which counts as missing.
with required as (
  select
    organizations.organization_id,
    controls.framework,
    controls.framework_version,
    controls.control_id,
    controls.control_title,
    freshness.last_ok_at,
    freshness.stale_at,
    coalesce(freshness.is_fresh, false) as is_fresh,
    coalesce(freshness.evidence_status, 'missing') as evidence_status
  from {{ ref('stg_warehouse__organizations') }} as organizations
  cross join {{ ref('control_evidence_map') }} as controls
  left join {{ ref('evidence_freshness') }} as freshness
    on
      organizations.organization_id = freshness.organization_id
      and controls.evidence_type = freshness.evidence_type
  where organizations.deleted_at is null
)

select
  organization_id,
  framework,
  framework_version,
  control_id,
  control_title,
  {{ control_status('evidence_status') }} as control_status,
  bool_and(is_fresh) as is_covered,
  count(*)::integer as evidence_required,
  (count(*) filter (where is_fresh))::integer as evidence_fresh,
  (count(*) filter (where evidence_status = 'fail'))::integer as evidence_failing,
  (count(*) filter (where evidence_status = 'stale'))::integer as evidence_stale,
  (count(*) filter (where evidence_status in ('missing', 'not_authorized')))::integer
    as evidence_missing,
  min(last_ok_at) as oldest_evidence_at,
  min(stale_at) filter (where is_fresh) as next_stale_at,
  {{ as_of() }} as computed_at
from required
group by organization_id, framework, framework_version, control_id, control_title
