{#
  dbt empties a seed by TRUNCATE, which shows an empty table to readers whose snapshot is older
  and locks out all others; with `--full-refresh` it drops the table, and every view on it.
  DELETE in the same transaction does neither; the lock makes two builds at once take turns, or
  the second would add every row again. Only a seed whose columns changed is dropped.
#}
{% macro postgres__reset_csv_table(model, full_refresh, old_relation, agate_table) %}
  {%- if full_refresh and not has_columns_of(model, old_relation, agate_table) -%}
    {{ return(default__reset_csv_table(model, full_refresh, old_relation, agate_table)) }}
  {%- endif -%}
  {%- set sql = "delete from " ~ old_relation.render() -%}
  {%- call statement('empty_seed') -%}
    lock table {{ old_relation.render() }} in share row exclusive mode;
    {{ sql }};
  {%- endcall -%}
  {{ return(sql) }}
{% endmacro %}


{# Whether a seed's table has the columns, with their types and order, that it would be made with. #}
{% macro has_columns_of(model, old_relation, agate_table) %}
  {%- set types = model['config'].get('column_types', {}) -%}
  {%- set question -%}
    select array_agg(attname || ' ' || format_type(atttypid, atttypmod) order by attnum) = array[
      {%- for name in agate_table.column_names %}
      '{{ name }} ' || to_regtype('{{ types.get(name, adapter.convert_type(agate_table, loop.index0)) }}')
      {%- if not loop.last %},{% endif %}
      {%- endfor %}
    ]
    from pg_attribute
    where attrelid = '{{ old_relation.render() }}'::regclass and attnum > 0 and not attisdropped
  {%- endset -%}
  {{ return(run_query(question).columns[0].values()[0]) }}
{% endmacro %}
