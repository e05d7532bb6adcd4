-- The steps are a projection of the state: told again they must be the same.
with told as (
  select
    connections.organization_id,
    connections.connection_id,
    steps.true_at,
    steps.true_since,
    steps.failing,
    steps.not_passing
  from {{ ref('stg_warehouse__connections') }} as connections
  cross join lateral warehouse.steps_of(
    connections.organization_id, connections.connection_id
  ) as steps
  where steps.true_at <> '{}'
),

stored as (
  select *
  from {{ ref('stg_warehouse__evidence_steps') }}
  where true_at <> '{}'
)

(select * from told except select * from stored)
union all
(select * from stored except select * from told)
