{#
  Two builds at once change one relation after the other; without it the second fails on the
  catalogue's row, or writes the same day twice. Held until the transaction ends.
#}
{% macro take_turns(relation) -%}
  select pg_advisory_xact_lock(hashtextextended('dbt {{ relation.schema }}.{{ relation.identifier }}', 0))
{%- endmacro %}
