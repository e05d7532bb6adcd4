-- What is counted by bits, without a row for each control, is what the controls' rows add up to.
with expected as (
  select
    organization_id,
    framework,
    framework_version,
    count(*) as controls_total,
    count(*) filter (where control_status <> 'not_applicable') as controls_applicable,
    count(*) filter (where is_covered and control_status <> 'not_applicable') as controls_covered,
    count(*) filter (where control_status = 'passing') as controls_passing,
    min(next_stale_at) as next_stale_at
  from {{ ref('control_coverage') }}
  group by organization_id, framework, framework_version
),

told as (
  select
    organization_id,
    framework,
    framework_version,
    controls_total,
    controls_applicable,
    controls_covered,
    controls_passing,
    next_stale_at
  from {{ ref('framework_coverage') }}
)

(select * from told except select * from expected)
union all
(select * from expected except select * from told)
