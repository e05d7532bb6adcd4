{#
  When the first of these types goes stale, of a row of int_connections_judged; NULL where none of
  them is fresh. With each step one moment's types are no longer true, so the first of them is stale
  when fewer are left.
#}
{% macro next_stale_at(judged, types) -%}
  (
    select steps.true_at + {{ judged }}.stale_after
    from unnest({{ judged }}.fresh_at, {{ judged }}.fresh_since)
      with ordinality as steps (true_at, true_since, place)
    where
      steps.true_since
      & ~coalesce({{ judged }}.fresh_since[steps.place + 1], 0)
      & {{ types }} <> 0
    order by steps.place
    limit 1
  )
{%- endmacro %}
