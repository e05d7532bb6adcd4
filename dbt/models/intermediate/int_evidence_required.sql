{%- set stale_after -%}
  make_interval(hours => least(connectors.stale_after_hours, connections.stale_after_hours))
{%- endset -%}
-- "offset 0" keeps this a step of its own: what holds for a connection is worked out once for it,
-- and not in each place that asks for it.
with live as (
  select
    connections.organization_id,
    connections.connection_id,
    connections.connector,
    connections.connected_at,
    {{ stale_after }} as stale_after,
    {{ as_of() }} - {{ stale_after }} as fresh_since
  from {{ ref('stg_warehouse__connections') }} as connections
  inner join {{ ref('connectors') }} as connectors
    on connections.connector = connectors.connector
  where connections.deleted_at is null
  offset 0
)

select
  organizations.organization_id,
  organizations.organization_name,
  live.connection_id,
  types.is_first_of_connector,
  types.place,
  types.needed_by,
  state.verdict,
  state.last_ok_at >= live.fresh_since as is_fresh,
  state.verdict is null and live.connected_at < live.fresh_since as is_missing,
  state.last_ok_at,
  coalesce(state.last_ok_at, live.connected_at) + live.stale_after as stale_at
from {{ ref('stg_warehouse__organizations') }} as organizations
cross join {{ ref('connectors') }} as connectors
inner join {{ ref('int_evidence_controls') }} as types
  on connectors.connector = types.connector
left join live
  on
    organizations.organization_id = live.organization_id
    and connectors.connector = live.connector
left join {{ ref('stg_warehouse__evidence_state') }} as state
  on
    live.organization_id = state.organization_id
    and live.connection_id = state.connection_id
    and types.evidence_type = state.evidence_type
where organizations.deleted_at is null
