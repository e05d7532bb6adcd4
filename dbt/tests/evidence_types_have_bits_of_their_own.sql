-- One without would be stale for ever in the sums, and two of one bit would be one.
select
  connector,
  warehouse.evidence_bit(evidence_type) as bit
from {{ ref('evidence_types') }}
group by connector, warehouse.evidence_bit(evidence_type)
having count(*) > 1 or warehouse.evidence_bit(evidence_type) is null
