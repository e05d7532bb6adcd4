{{
  config(
    materialized='incremental',
    incremental_strategy='replacement',
    on_schema_change='append_new_columns',
    full_refresh=false,
    pre_hook="{{ take_turns(this) }}",
    post_hook="analyze {{ this }}",
  )
}}

-- A table, for it changes with the seeds alone and is asked for in every reading. All of it in one,
-- so that bits and what they stand for change together.
--
-- A type that the map names and no connector brings is a row without a connector: the controls
-- that need it are missing everywhere.
with controls as (
  select
    framework,
    framework_version,
    evidence_type,
    dense_rank() over (
      order by framework, framework_version, control_id, control_title
    )::integer as place
  from {{ ref('control_evidence_map') }}
),

nothing as (
  select repeat('0', coalesce(max(place), 0))::bit varying as bits
  from controls
),

-- A framework's controls have places one after the other.
frameworks as (
  select
    framework,
    framework_version,
    min(place) as first_control,
    max(place) - min(place) + 1 as controls_total
  from controls
  group by framework, framework_version
),

divided as (
  select jsonb_agg(frameworks order by first_control) as frameworks
  from frameworks
),

needs as (
  select
    controls.evidence_type,
    bit_or(set_bit(nothing.bits, controls.place - 1, 1)) as needed_by
  from controls
  cross join nothing
  group by controls.evidence_type
)

select
  coalesce(types.evidence_type, needs.evidence_type) as evidence_type,
  types.connector,
  coalesce(needs.needed_by, nothing.bits)::bit varying as needed_by,
  types.connector is not null
  and row_number() over (partition by types.connector order by types.evidence_type) = 1
    as is_first_of_connector,
  (row_number() over (order by coalesce(types.evidence_type, needs.evidence_type)))::integer
    as place,
  divided.frameworks
from {{ ref('evidence_types') }} as types
full join needs on types.evidence_type = needs.evidence_type
cross join nothing
cross join divided
