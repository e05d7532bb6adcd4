-- A type that no connector brings gets a bit that no customer has: such a control is missing.
with controls as (
  select bit_or(coalesce(bits.evidence_bit, 1::bigint << 62)) as needed_bits
  from {{ ref('control_evidence_map') }} as needs
  left join {{ ref('int_evidence_bits') }} as bits on needs.evidence_type = bits.evidence_type
  group by needs.framework, needs.framework_version, needs.control_id, needs.control_title
)

select
  needed_bits,
  count(*)::integer as controls
from controls
group by needed_bits
