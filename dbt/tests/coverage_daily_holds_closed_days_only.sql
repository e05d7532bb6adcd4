select as_of_date, organization_id
from {{ ref('coverage_daily') }}
where as_of_date >= ({{ as_of() }} at time zone 'utc')::date
