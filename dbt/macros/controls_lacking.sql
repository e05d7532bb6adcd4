{#
  Bits of the controls of all frameworks that lack evidence when a connection lacks these types of
  its connector: one of the parts of equal length in a row of int_connector_controls.
#}
{% macro controls_lacking(types, controls) -%}
  substring(
    {{ controls }}.controls_lacking
    from ({{ types }}) * {{ controls }}.controls + 1 for {{ controls }}.controls
  )::bit varying
{%- endmacro %}
