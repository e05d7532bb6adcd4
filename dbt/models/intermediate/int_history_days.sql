select
  organizations.organization_id,
  days.started_at::date as as_of_date,
  (days.started_at + interval '1 day') at time zone 'utc' as closed_at
from {{ ref('stg_warehouse__organizations') }} as organizations
-- Timestamps without a zone: every UTC day has 24 hours, whatever zone the session is in.
cross join lateral generate_series(
  date_trunc('day', organizations.created_at at time zone 'utc'),
  date_trunc('day', {{ as_of() }} at time zone 'utc') - interval '1 day',
  interval '1 day'
) as days (started_at)
where
  organizations.deleted_at is null
  or organizations.deleted_at >= (days.started_at + interval '1 day') at time zone 'utc'
