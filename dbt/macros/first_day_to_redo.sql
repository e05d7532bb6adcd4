{#
  Days that the history lacks, and the last three again: a run that began before midnight may
  commit after it.
#}
{% macro first_day_to_redo(history, closed_days) -%}
  (
    select
      least(
        (select coalesce(max(history.as_of_date), '-infinity') from {{ history }} as history) + 1,
        max(closed.as_of_date) - 2
      )
    from {{ closed_days }} as closed
  )
{%- endmacro %}
