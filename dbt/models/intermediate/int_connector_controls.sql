{{
  config(
    materialized='incremental',
    incremental_strategy='replacement',
    on_schema_change='append_new_columns',
    full_refresh=false,
    pre_hook="{{ take_turns(this) }}",
    post_hook=["alter table {{ this }} set (toast_tuple_target = 8160)", "analyze {{ this }}"],
  )
}}

-- A table, for it changes with the seeds alone and is asked for in every reading. All of it in one,
-- so that bits and what they stand for change together; and uncompressed, for it is looked up for
-- each connection.
with connectors as (
  select
    connector,
    count(*)::integer as evidence_types,
    bit_or(type_bit) as every_type
  from {{ ref('int_evidence_needed') }}
  where connector is not null
  group by connector
),

-- A type that no connector brings is always lacking.
lacking as (
  select
    connectors.*,
    lacked.types,
    coalesce(
      bit_or(needed.needed_by) filter (
        where needed.connector is null
        or (connectors.connector = needed.connector and needed.type_bit & lacked.types <> 0)
      ),
      bit_or(needed.needed_by) & ~bit_or(needed.needed_by)
    ) as controls
  from connectors
  cross join lateral generate_series(0, connectors.every_type) as lacked (types)
  cross join {{ ref('int_evidence_needed') }} as needed
  group by 1, 2, 3, 4
),

frameworks as (
  select
    framework,
    framework_version,
    min(place) as first_control,
    max(place) - min(place) + 1 as controls_total
  from {{ ref('int_control_places') }}
  group by framework, framework_version
),

divided as (
  select
    needed.connector,
    frameworks.*,
    coalesce(bit_or(needed.type_bit) filter (
      where bit_count(
        substring(needed.needed_by from frameworks.first_control for frameworks.controls_total)
      ) > 0
    ), 0) as types_needed
  from frameworks
  cross join {{ ref('int_evidence_needed') }} as needed
  group by 1, 2, 3, 4, 5
)

select
  connector,
  evidence_types,
  every_type,
  max(length(controls)) as controls,
  string_agg(controls::text, '' order by types)::bit varying as controls_lacking,
  (
    select jsonb_agg(to_jsonb(divided) - 'connector' order by divided.first_control)
    from divided
    where divided.connector = lacking.connector
  ) as frameworks
from lacking
group by connector, evidence_types, every_type
