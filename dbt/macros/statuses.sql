{#
  Status of one piece of evidence at an instant. Exactly at `stale_at` it is still fresh.
  `stale_at` counts from the last good read, or from connecting while there is none.
#}
{% macro evidence_status(verdict, last_attempt_status, stale_at, instant) -%}
  case
    when {{ instant }} <= {{ stale_at }} then coalesce({{ verdict }}, 'pending')
    when {{ verdict }} is not null then 'stale'
    when {{ last_attempt_status }} = 'denied' then 'not_authorized'
    else 'missing'
  end
{%- endmacro %}


{# Aggregate: status of a control from the statuses of all evidence it requires, worst first. #}
{% macro control_status(evidence_status) -%}
  case
    when bool_or({{ evidence_status }} = 'fail') then 'failing'
    when bool_or({{ evidence_status }} in ('missing', 'not_authorized')) then 'missing'
    when bool_or({{ evidence_status }} = 'stale') then 'stale'
    when bool_or({{ evidence_status }} = 'pending') then 'pending'
    when bool_or({{ evidence_status }} = 'not_applicable') then 'not_applicable'
    else 'passing'
  end
{%- endmacro %}


{% macro fresh_statuses() -%}
  ('pass', 'fail', 'not_applicable')
{%- endmacro %}


{#
  A share in percent of two whole numbers, cut and never rounded up to 100; an empty denominator
  gives NULL. Whole numbers divide exactly, and faster than decimal ones.
#}
{% macro percent(part, whole) -%}
  (0.1 * (1000 * ({{ part }})::bigint / nullif(({{ whole }})::bigint, 0)))::numeric(5, 1)
{%- endmacro %}
