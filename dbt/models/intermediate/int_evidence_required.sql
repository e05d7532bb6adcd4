-- "offset 0" keeps this a step of its own: stale_at would be worked out in each place that asks for
-- it. So it is for who reads all of it.
select
  organizations.organization_id,
  organizations.organization_name,
  connections.connection_id,
  types.is_first_of_connector,
  types.place,
  types.needed_by,
  state.verdict,
  state.last_ok_at,
  coalesce(state.last_ok_at, connections.connected_at) + make_interval(
    hours => least(connectors.stale_after_hours, connections.stale_after_hours)
  ) as stale_at
from {{ ref('stg_warehouse__organizations') }} as organizations
cross join {{ ref('connectors') }} as connectors
inner join {{ ref('int_evidence_controls') }} as types
  on connectors.connector = types.connector
left join {{ ref('stg_warehouse__connections') }} as connections
  on
    organizations.organization_id = connections.organization_id
    and connectors.connector = connections.connector
    and connections.deleted_at is null
left join {{ ref('stg_warehouse__evidence_state') }} as state
  on
    connections.organization_id = state.organization_id
    and connections.connection_id = state.connection_id
    and types.evidence_type = state.evidence_type
where organizations.deleted_at is null
offset 0
