select
  organization_id,
  name as organization_name,
  created_at,
  deleted_at
from {{ source('warehouse', 'organizations') }}
