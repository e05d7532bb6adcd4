{# The columns together name one row, and none of them is ever missing. #}
{% test grain(model, columns) %}
select {{ columns | join(', ') }}, count(*) as rows_found
from {{ model }}
group by {{ columns | join(', ') }}
having count(*) > 1
  {% for column in columns %}or {{ column }} is null{{ " " }}{% endfor %}
{% endtest %}
