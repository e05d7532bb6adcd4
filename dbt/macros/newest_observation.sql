{#
  A lateral subquery with the newest observation of the evidence that a row of `of` names by
  organization_id, connection_id and evidence_type: one step into the index by time, which takes
  no longer after years.
#}
{% macro newest_observation(observations, of, columns, conditions=[]) -%}
  lateral (
    select {{ columns | join(', ') }}
    from {{ observations }} as observations
    where
      observations.organization_id = {{ of }}.organization_id
      and observations.connection_id = {{ of }}.connection_id
      and observations.evidence_type = {{ of }}.evidence_type
      {%- for condition in conditions %}
      and observations.{{ condition }}
      {%- endfor %}
    order by observations.observed_at desc
    limit 1
  )
{%- endmacro %}
