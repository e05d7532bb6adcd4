select framework, control_id
from {{ ref('control_evidence_map') }}
group by framework, control_id
having count(distinct (framework_version, control_title)) > 1
