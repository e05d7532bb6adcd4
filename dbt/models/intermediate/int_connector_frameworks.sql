select
  controls.connector,
  divided.framework,
  divided.framework_version,
  divided.first_control,
  divided.controls_total,
  divided.types_needed
from {{ ref('int_connector_controls') }} as controls
cross join lateral jsonb_to_recordset(controls.frameworks) as divided (
  framework text,
  framework_version text,
  first_control integer,
  controls_total integer,
  types_needed integer
)
