{#
  The only clock. A table that stores "fresh" lies the next day, so the moment of reading may be
  asked for in live views and tests alone.

  statement_timestamp() and not now(): a reader that keeps one transaction open sees time pass.
#}
{% macro as_of() -%}
  {%- if execute and model.resource_type == 'model'
      and model.config.materialized not in ['live_view', 'unit'] -%}
    {{ exceptions.raise_compiler_error(
      "as_of() is the moment of reading: " ~ model.name ~ " is materialized as "
      ~ model.config.materialized ~ " and would store it. Make it a live_view."
    ) }}
  {%- endif -%}
  statement_timestamp()
{%- endmacro %}
