{#
  dbt empties a seed by TRUNCATE, which shows an empty table to readers whose snapshot is older
  and locks out all others. DELETE in the same transaction does neither; the lock makes two
  builds at once take turns, or the second would add every row again.
#}
{% macro postgres__reset_csv_table(model, full_refresh, old_relation, agate_table) %}
  {%- if full_refresh -%}
    {{ return(default__reset_csv_table(model, full_refresh, old_relation, agate_table)) }}
  {%- endif -%}
  {%- set sql = "delete from " ~ old_relation.render() -%}
  {%- call statement('empty_seed') -%}
    lock table {{ old_relation.render() }} in share row exclusive mode;
    {{ sql }};
  {%- endcall -%}
  {{ return(sql) }}
{% endmacro %}
