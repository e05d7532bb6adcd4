{#
  A view that is replaced in place: readers never see it missing or empty, views on top of it
  stay, and it runs with the reader's rights, so row-level security applies to who asks.

  Adding a column is free wherever it stands in the model. Dropping, renaming or retyping one is
  a breaking change for readers and takes a deliberate `--full-refresh` of the view and of
  everything on top of it (`dbt run --full-refresh --select <model>+`).
#}
{% materialization live_view, adapter='postgres' %}
  {%- set existing = load_cached_relation(this) -%}
  {%- set target = this.incorporate(type='view') -%}
  {%- set rebuild = existing is not none and (should_full_refresh() or existing.type != 'view') -%}
  {%- if rebuild and existing.type != 'view' and not should_full_refresh() -%}
    {% do exceptions.raise_compiler_error(
      this ~ " is a " ~ existing.type ~ ": replace it by a live view with --full-refresh"
    ) %}
  {%- endif -%}

  {{ run_hooks(pre_hooks, inside_transaction=False) }}
  {{ run_hooks(pre_hooks, inside_transaction=True) }}

  {% call statement('take_turns') -%}
    {{ take_turns(target) }}
  {%- endcall %}
  {%- if rebuild -%}
    {% do adapter.drop_relation(existing) %}
  {%- endif -%}
  {%- set body = sql if existing is none or rebuild else in_existing_order(existing, sql) -%}
  {% call statement('main') -%}
    create or replace view {{ target }}
    {%- if config.get('contract').enforced %}
      {{ get_assert_columns_equivalent(sql) }}
    {%- endif %}
    with (security_invoker = true) as (
      {{ body }}
    );
  {%- endcall %}

  {% do apply_grants(target, config.get('grants'), should_revoke=not rebuild) %}
  {% do persist_docs(target, model) %}

  {{ run_hooks(post_hooks, inside_transaction=True) }}
  {% do adapter.commit() %}
  {{ run_hooks(post_hooks, inside_transaction=False) }}

  {{ return({'relations': [target]}) }}
{% endmaterialization %}


{# Postgres replaces a view only by one that begins with the same columns. #}
{% macro in_existing_order(existing, sql) %}
  {%- set before = adapter.get_columns_in_relation(existing) | map(attribute='name') | list -%}
  {%- set after = get_column_schema_from_query(sql) | map(attribute='name') | list -%}
  {%- set lost = before | reject('in', after) | list -%}
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
