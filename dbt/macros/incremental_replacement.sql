{#
  Incremental strategy `replacement`: a small table told anew as a whole, in place and in one
  transaction, so that readers see the old rows or the new and the views on it stay.
#}
{% macro get_incremental_replacement_sql(arguments) %}
  {%- set columns = arguments['dest_columns'] | map(attribute='quoted') | join(', ') -%}
  delete from {{ arguments['target_relation'] }};
  insert into {{ arguments['target_relation'] }} ({{ columns }})
  select {{ columns }}
  from {{ arguments['temp_relation'] }}
{% endmacro %}
