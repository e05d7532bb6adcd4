-- What the map names and no connector brings is a type without one.
with nothing as (
  select repeat('0', coalesce(max(place), 0))::bit varying as bits
  from {{ ref('int_control_places') }}
)

select
  coalesce(types.evidence_type, controls.evidence_type) as evidence_type,
  types.connector,
  warehouse.evidence_bit(types.evidence_type) as type_bit,
  coalesce(bit_or(set_bit(nothing.bits, controls.place - 1, 1)), nothing.bits)::bit varying
    as needed_by
from {{ ref('evidence_types') }} as types
full join {{ ref('int_control_places') }} as controls
  on types.evidence_type = controls.evidence_type
cross join nothing
group by types.evidence_type, controls.evidence_type, types.connector, nothing.bits
