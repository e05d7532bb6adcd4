select
  evidence_type,
  connector,
  1::bigint << (row_number() over (order by evidence_type) - 1)::integer as evidence_bit,
  row_number() over (partition by connector order by evidence_type) = 1 as is_first_of_connector
from {{ ref('evidence_types') }}
