with frameworks as (
  select divided.*
  from (
    select frameworks
    from {{ ref('int_evidence_controls') }}
    limit 1
  ) as any_type
  cross join lateral jsonb_to_recordset(any_type.frameworks) as divided (
    framework text, framework_version text, first_control integer, controls_total integer
  )
),

needs as (
  select
    frameworks.*,
    types.place,
    types.connector,
    bit_count(
      substring(types.needed_by from frameworks.first_control for frameworks.controls_total)
    ) > 0 as is_needed
  from frameworks
  cross join {{ ref('int_evidence_controls') }} as types
)

select
  framework,
  framework_version,
  first_control,
  controls_total,
  array_agg(place order by place) filter (where is_needed) as places_needed,
  bool_and(is_needed or connector is null) as is_every_type_needed
from needs
group by framework, framework_version, first_control, controls_total
