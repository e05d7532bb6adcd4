{{
  config(
    materialized='incremental',
    incremental_strategy='differences',
    unique_key=['organization_id', 'as_of_date', 'framework', 'control_id'],
    on_schema_change='append_new_columns',
    full_refresh=false,
    indexes=[{'columns': ['as_of_date']}],
    pre_hook="{{ take_turns(this) }}",
    post_hook="{{ tenant_walls(this) }}",
  )
}}

-- Which days are closed is said by a live view: this table has no clock of its own.
with days as (
  select *
  from {{ ref('int_history_days') }}
  {% if is_incremental() %}
    where as_of_date >= {{ first_day_to_redo(this, ref('int_history_days')) }}
  {% endif %}
),

evidence as (
  select *
  from {{ ref('int_evidence_daily') }}
  {% if is_incremental() %}
    where as_of_date >= {{ first_day_to_redo(this, ref('int_history_days')) }}
  {% endif %}
),

required as (
  select
    days.as_of_date,
    days.organization_id,
    controls.framework,
    controls.control_id,
    coalesce(evidence.is_fresh, false) as is_fresh,
    coalesce(evidence.evidence_status, 'missing') as evidence_status
  from days
  cross join {{ ref('control_evidence_map') }} as controls
  left join evidence
    on
      days.organization_id = evidence.organization_id
      and days.as_of_date = evidence.as_of_date
      and controls.evidence_type = evidence.evidence_type
)

select
  as_of_date,
  organization_id,
  framework,
  control_id,
  {{ control_status('evidence_status') }} as control_status,
  bool_and(is_fresh) as is_covered,
  count(*)::integer as evidence_required,
  (count(*) filter (where is_fresh))::integer as evidence_fresh
from required
group by as_of_date, organization_id, framework, control_id
