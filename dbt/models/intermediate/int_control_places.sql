-- The controls of a framework have places one after the other.
select
  framework,
  framework_version,
  control_id,
  evidence_type,
  dense_rank() over (
    order by framework, framework_version, control_id, control_title
  )::integer as place
from {{ ref('control_evidence_map') }}
