{%- set stale_after -%}
  make_interval(hours => least(connectors.stale_after_hours, connections.stale_after_hours))
{%- endset -%}
{%- set unfresh = 'controls.every_type & ~coalesce(steps.true_since[age.stale + 1], 0)' -%}
-- By the steps in which evidence goes stale, and not by evidence_freshness and control_coverage: all
-- of a thousand organizations are planned anew and read at once. Tests hold that they agree.
select
  organizations.organization_id,
  organizations.organization_name,
  connections.connection_id,
  controls.connector,
  controls.evidence_types,
  coalesce(cardinality(steps.true_at) - age.stale, 0) as evidence_fresh,
  coalesce(age.stale, 0) as evidence_stale,
  case
    when connections.connected_at < age.fresh_since
      then controls.evidence_types - coalesce(cardinality(steps.true_at), 0)
    else 0
  end as evidence_missing,
  coalesce(bit_count((steps.true_since[age.stale + 1] & steps.failing)::bit(32)), 0)::integer
    as evidence_failing,
  steps.true_at[cardinality(steps.true_at)] as last_ok_at,
  steps.true_at[age.stale + 1] + age.stale_after as next_stale_at,
  {{ controls_lacking(unfresh, 'controls') }} as unfresh,
  {{ controls_lacking(unfresh ~ ' | coalesce(steps.failing, 0)', 'controls') }} as unproven,
  {{ controls_lacking(unfresh ~ ' | coalesce(steps.not_passing, 0)', 'controls') }} as not_passing,
  controls.every_type,
  age.stale_after,
  steps.true_at[age.stale + 1:] as fresh_at,
  steps.true_since[age.stale + 1:] as fresh_since
from {{ ref('stg_warehouse__organizations') }} as organizations
cross join {{ ref('connectors') }} as connectors
inner join {{ ref('int_connector_controls') }} as controls
  on connectors.connector = controls.connector
left join {{ ref('stg_warehouse__connections') }} as connections
  on
    organizations.organization_id = connections.organization_id
    and connectors.connector = connections.connector
    and connections.deleted_at is null
left join {{ ref('stg_warehouse__evidence_steps') }} as steps
  on
    connections.organization_id = steps.organization_id
    and connections.connection_id = steps.connection_id
-- "offset 0" has this worked out once for a connection, and not in each place that asks for it.
cross join lateral (
  select
    {{ stale_after }} as stale_after,
    {{ as_of() }} - {{ stale_after }} as fresh_since,
    -- How many of the moments are older.
    width_bucket({{ as_of() }} - {{ stale_after }} - interval '1 microsecond', steps.true_at)
      as stale
  offset 0
) as age
where organizations.deleted_at is null
