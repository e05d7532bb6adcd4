{#
  A view that is replaced in place: readers never see it missing or empty, views on top of it
  stay, and it runs with the reader's rights, so row-level security applies to who asks.

  Adding a column is free wherever it stands in the model. Dropping, renaming or retyping one is
  a breaking change for readers and takes a deliberate `--full-refresh` of the view and of
  everything on top of it (`dbt run --full-refresh --select <model>+`). Only what really changes
  that way is dropped: a full refresh of unchanged columns is as quiet as any other build, also
  when it is killed halfway.
#}
{% materialization live_view, adapter='postgres' %}
  {%- set existing = load_cached_relation(this) -%}
  {%- set target = this.incorporate(type='view') -%}
  {%- set is_other = existing is not none and existing.type != 'view' -%}
  {%- if is_other and not should_full_refresh() -%}
    {% do exceptions.raise_compiler_error(
      this ~ " is a " ~ existing.type ~ ": replace it by a live view with --full-refresh"
    ) %}
  {%- endif -%}

  {{ run_hooks(pre_hooks, inside_transaction=False) }}
  {{ run_hooks(pre_hooks, inside_transaction=True) }}

  {% call statement('take_turns') -%}
    {{ take_turns(target) }}
  {%- endcall %}
  {%- if is_other -%}
    {% do adapter.drop_relation(existing) %}
  {%- endif -%}
  {%- set is_replaced = existing is not none and not is_other -%}
  {%- set body = in_existing_order(existing, sql) if is_replaced else sql -%}
  {% call statement('main') -%}
    {%- if config.get('contract').enforced %}
      {{ get_assert_columns_equivalent(sql) }}
    {%- endif %}
    {%- if is_replaced and should_full_refresh() %}
    do $replace$
    begin
      {{ replace_live_view(target, body) }}
    exception when invalid_table_definition then
      drop view {{ target }} cascade;
      {{ replace_live_view(target, body) }}
    end
    $replace$;
    {%- else %}
    {{ replace_live_view(target, body) }}
    {%- endif %}
  {%- endcall %}

  {% do apply_grants(target, config.get('grants'), should_revoke=True) %}
  {% do persist_docs(target, model) %}

  {{ run_hooks(post_hooks, inside_transaction=True) }}
  {% do adapter.commit() %}
  {{ run_hooks(post_hooks, inside_transaction=False) }}

  {{ return({'relations': [target]}) }}
{% endmaterialization %}


{% macro replace_live_view(target, body) -%}
  create or replace view {{ target }} with (security_invoker = true) as (
    {{ body }}
  );
{%- endmacro %}


{# Postgres replaces a view only by one that begins with the same columns. #}
{% macro in_existing_order(existing, sql) %}
  {%- set before = adapter.get_columns_in_relation(existing) | map(attribute='name') | list -%}
  {%- set after = get_column_schema_from_query(sql) | map(attribute='name') | list -%}
  {%- set lost = before | reject('in', after) | list -%}
  {%- if lost and should_full_refresh() -%}
    {{ return(sql) }}
  {%- endif -%}
  {%- if lost -%}
    {% do exceptions.raise_compiler_error(
      existing ~ " would lose " ~ lost | join(', ') ~ ", which breaks its readers. If that is "
      ~ "meant, run: dbt run --full-refresh --select " ~ existing.identifier ~ "+"
    ) %}
  {%- endif -%}
  {%- if after[:before | length] == before -%}
    {{ return(sql) }}
  {%- endif -%}
  {%- set names = before + after | reject('in', before) | list -%}
  {{ return("select " ~ names | join(', ') ~ " from (\n" ~ sql ~ "\n) as reordered") }}
{% endmacro %}
