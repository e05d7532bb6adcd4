{#
  CTEs for the marts that tell of whole organizations: `judged`, with a row for each organization,
  and its counts `totals`, a single row. They add the evidence up themselves, in one pass, and not
  by evidence_freshness and control_coverage: all of a thousand organizations are planned anew and
  read at once. Tests hold that they agree.

  A macro and no view of its own, which every reader's planning would pay for; a column that a mart
  does not ask for costs nothing.
#}
{% macro judged_organizations() -%}
-- A control's bit is set where any evidence that it needs is so. What was read well and is not
-- fresh is stale.
judged as (
  select
    organization_id,
    organization_name,
    (count(connection_id) filter (where is_first_of_connector))::integer as connections_live,
    count(connection_id)::integer as evidence_required,
    (count(*) filter (where is_fresh))::integer as evidence_fresh,
    (count(verdict) - count(*) filter (where is_fresh))::integer as evidence_stale,
    (count(*) filter (where is_missing))::integer as evidence_missing,
    (count(*) filter (where verdict = 'fail' and is_fresh))::integer as evidence_failing,
    max(last_ok_at) as last_ok_at,
    min(stale_at) filter (where is_fresh) as next_stale_at,
    array_agg(place) filter (where is_fresh) as fresh_places,
    array_agg(stale_at) filter (where is_fresh) as fresh_stale_at,
    bit_or(needed_by) filter (where is_fresh is not true) as unfresh,
    bit_or(needed_by) filter (where is_fresh is not true or verdict = 'fail') as unproven,
    bit_or(needed_by) filter (where is_fresh is not true or verdict <> 'pass') as not_passing
  from {{ ref('int_evidence_required') }}
  group by organization_id, organization_name
),

-- What no connector brings is missing everywhere.
totals as (
  select
    count(connector)::integer as evidence_types,
    bit_count(bit_or(needed_by)) as controls,
    coalesce(
      bit_or(needed_by) filter (where connector is null),
      bit_or(needed_by) & ~bit_or(needed_by)
    ) as unbrought
  from {{ ref('int_evidence_controls') }}
)
{%- endmacro %}


{# Bits of `judged`, NULL where none is set, together with what no connector brings. #}
{% macro with_unbrought(bits) -%}
  coalesce({{ bits }} | totals.unbrought, totals.unbrought)
{%- endmacro %}
