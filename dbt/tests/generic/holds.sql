{# A rule that must be true for every row; NULL breaks it. #}
{% test holds(model, rule) %}
select *
from {{ model }}
where ({{ rule }}) is not true
{% endtest %}
