select
  connections.organization_id,
  connections.connection_id,
  last_run.started_at as last_run_at,
  last_run.status as last_run_status,
  last_ended.error_code as last_error_code,
  failures.consecutive_failures
from {{ ref('stg_warehouse__connections') }} as connections
left join lateral (
  select runs.started_at, runs.status
  from {{ ref('stg_warehouse__connector_runs') }} as runs
  where
    runs.organization_id = connections.organization_id
    and runs.connection_id = connections.connection_id
  order by runs.started_at desc
  limit 1
) as last_run on true
left join lateral (
  select runs.error_code
  from {{ ref('stg_warehouse__connector_runs') }} as runs
  where
    runs.organization_id = connections.organization_id
    and runs.connection_id = connections.connection_id
    and runs.status <> 'running'
  order by runs.started_at desc
  limit 1
) as last_ended on true
left join lateral (
  select max(runs.started_at) as started_at
  from {{ ref('stg_warehouse__connector_runs') }} as runs
  where
    runs.organization_id = connections.organization_id
    and runs.connection_id = connections.connection_id
    and runs.status in ('succeeded', 'partial')
) as last_good on true
left join lateral (
  select count(*)::integer as consecutive_failures
  from {{ ref('stg_warehouse__connector_runs') }} as runs
  where
    runs.organization_id = connections.organization_id
    and runs.connection_id = connections.connection_id
    and runs.status in ('failed', 'abandoned')
    and runs.started_at > coalesce(last_good.started_at, '-infinity')
) as failures on true
