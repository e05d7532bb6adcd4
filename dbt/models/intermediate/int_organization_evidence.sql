-- Materialized, or a status would be worked out anew in each place that asks for it.
with evidence as materialized (
  select
    freshness.organization_id,
    freshness.evidence_status,
    freshness.is_fresh,
    freshness.last_ok_at,
    freshness.stale_at,
    bits.evidence_bit,
    bits.is_first_of_connector
  from {{ ref('evidence_freshness') }} as freshness
  inner join {{ ref('int_evidence_bits') }} as bits
    on freshness.evidence_type = bits.evidence_type
)

-- Bits of the types of which some connection's evidence is so. A type nobody brings is missing.
select
  organization_id,
  (count(*) filter (where is_first_of_connector))::integer as connections_live,
  count(*)::integer as evidence_required,
  (count(*) filter (where is_fresh))::integer as evidence_fresh,
  (count(*) filter (where evidence_status = 'stale'))::integer as evidence_stale,
  (count(*) filter (where evidence_status in ('missing', 'not_authorized')))::integer
    as evidence_missing,
  (count(*) filter (where evidence_status = 'fail'))::integer as evidence_failing,
  max(last_ok_at) as last_ok_at,
  min(stale_at) filter (where is_fresh) as next_stale_at,
  coalesce(bit_or(evidence_bit) filter (where not is_fresh), 0) | ~bit_or(evidence_bit)
    as unfresh_bits,
  coalesce(
    bit_or(evidence_bit) filter (where evidence_status not in ('pass', 'not_applicable')), 0
  ) | ~bit_or(evidence_bit) as open_bits,
  coalesce(bit_or(evidence_bit) filter (where evidence_status = 'not_applicable'), 0)
    as idle_bits
from evidence
group by organization_id
