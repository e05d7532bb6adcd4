{# A number stays between two bounds, both included; NULL is no number. #}
{% test in_range(model, column_name, at_least, at_most) %}
select {{ column_name }}
from {{ model }}
where {{ column_name }} not between {{ at_least }} and {{ at_most }}
{% endtest %}
