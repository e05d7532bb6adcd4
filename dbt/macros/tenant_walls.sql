{#
  Row-level security for a table that dbt makes, in the transaction that makes it. Who sees what
  is said once, in the warehouse's migrations: the readers' policies are copied from there.
#}
{% macro tenant_walls(relation, like='evidence_state') %}
alter table {{ relation }} enable row level security;
alter table {{ relation }} force row level security;
-- Row estimates in EXPLAIN come from statistics over all organizations.
alter table {{ relation }} alter column organization_id set statistics 0;
do $walls$
declare
  wall record;
  copied integer := 0;
begin
  for wall in
    select policyname from pg_policies
    where schemaname = '{{ relation.schema }}' and tablename = '{{ relation.identifier }}'
  loop
    execute format('drop policy %I on {{ relation }}', wall.policyname);
  end loop;
  for wall in
    select policyname, roles, qual from pg_policies
    where
      schemaname = 'warehouse' and tablename = '{{ like }}' and cmd = 'SELECT'
      and roles <@ array['ts_bi', 'ts_pipeline']::name[]
  loop
    execute format(
      'create policy %I on {{ relation }} for select to %s using (%s)',
      wall.policyname, array_to_string(wall.roles, ', '), wall.qual
    );
    copied := copied + 1;
  end loop;
  if copied < 2 then
    raise exception 'warehouse.{{ like }} has % reader policies instead of two: migrate first',
      copied;
  end if;
  create policy transform_writes on {{ relation }} for all to ts_transform
    using (true) with check (true);
end
$walls$
{% endmacro %}
