-- Everything in the database that a promise rests on, one line each. Names and expressions only:
-- the same migrations give the same lines in every database and on every supported Postgres.
with warehouse_tables as (
  select c.oid, c.relname, c.relrowsecurity, c.relforcerowsecurity, c.relowner, c.relacl
  from pg_catalog.pg_class as c
  where c.relnamespace = 'warehouse'::regnamespace and c.relkind in ('r', 'p')
    and c.relname <> 'schema_revision'
),
granted as (
  select
    'table ' || t.relname as thing, a.grantee, a.privilege_type as privilege
  from warehouse_tables as t
  cross join lateral pg_catalog.aclexplode(coalesce(t.relacl, pg_catalog.acldefault('r', t.relowner))) as a
  where a.grantee <> t.relowner
  union all
  select 'column ' || t.relname || '.' || c.attname, a.grantee, a.privilege_type
  from warehouse_tables as t
  inner join pg_catalog.pg_attribute as c on c.attrelid = t.oid and c.attnum > 0
  cross join lateral pg_catalog.aclexplode(c.attacl) as a
  union all
  select 'function ' || p.proname, a.grantee, a.privilege_type
  from pg_catalog.pg_proc as p
  cross join lateral pg_catalog.aclexplode(coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))) as a
  where p.pronamespace = 'warehouse'::regnamespace and a.grantee <> p.proowner
  union all
  select 'schema ' || n.nspname, a.grantee, a.privilege_type
  from pg_catalog.pg_namespace as n
  cross join lateral pg_catalog.aclexplode(coalesce(n.nspacl, pg_catalog.acldefault('n', n.nspowner))) as a
  where n.nspname in ('warehouse', 'coverage') and a.grantee <> n.nspowner
)
select format('grant on %s: %s to %s', thing, privilege,
  case grantee when 0 then 'public' else grantee::regrole::text end)
from granted
where grantee = 0 or grantee::regrole::text like 'ts\_%'
union all
select format('table %s: owner %s, row security %s, forced %s', relname, relowner::regrole,
  relrowsecurity, relforcerowsecurity)
from warehouse_tables
union all
select format('policy %s on %s: %s for %s to %s using %s check %s', p.polname, t.relname,
  case when p.polpermissive then 'permissive' else 'restrictive' end, p.polcmd,
  (select string_agg(r::regrole::text, ',' order by r::regrole::text) from unnest(p.polroles) as r),
  regexp_replace(coalesce(pg_get_expr(p.polqual, p.polrelid), 'none'), '\s+', ' ', 'g'),
  regexp_replace(coalesce(pg_get_expr(p.polwithcheck, p.polrelid), 'none'), '\s+', ' ', 'g'))
from pg_catalog.pg_policy as p
inner join warehouse_tables as t on t.oid = p.polrelid
union all
select format('trigger on %s, fires %s: %s', t.relname, g.tgenabled, pg_get_triggerdef(g.oid))
from pg_catalog.pg_trigger as g
inner join warehouse_tables as t on t.oid = g.tgrelid
where not g.tgisinternal
union all
select format('constraint on %s, valid %s: %s', t.relname, k.convalidated,
  regexp_replace(pg_get_constraintdef(k.oid), '\s+', ' ', 'g'))
from pg_catalog.pg_constraint as k
inner join warehouse_tables as t on t.oid = k.conrelid
where k.contype in ('p', 'u', 'f', 'c')
union all
select format('column %s.%s: %s%s, statistics %s', t.relname, a.attname,
  format_type(a.atttypid, a.atttypmod), case when a.attnotnull then ' not null' else '' end,
  coalesce(a.attstattarget, -1))
from pg_catalog.pg_attribute as a
inner join warehouse_tables as t on t.oid = a.attrelid
where a.attnum > 0 and not a.attisdropped
union all
select format('unique index on %s: %s', t.relname, pg_get_indexdef(i.indexrelid))
from pg_catalog.pg_index as i
inner join warehouse_tables as t on t.oid = i.indrelid
where i.indisunique and not exists (
  select from pg_catalog.pg_constraint as k where k.conindid = i.indexrelid and k.contype in ('p', 'u')
)
union all
select format('function %s(%s): owner %s, %s, %s, body %s', p.proname,
  pg_get_function_identity_arguments(p.oid), p.proowner::regrole,
  case when p.prosecdef then 'definer' else 'invoker' end,
  coalesce(array_to_string(p.proconfig, '; '), 'no settings'),
  left(encode(sha256(convert_to(p.prosrc, 'UTF8')), 'hex'), 16))
from pg_catalog.pg_proc as p
where p.pronamespace = 'warehouse'::regnamespace
union all
select format('role %s: login %s, superuser %s, bypass %s, createrole %s, createdb %s, replication %s',
  rolname, rolcanlogin, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication)
from pg_catalog.pg_roles
where rolname like 'ts\_%' and rolname <> 'ts_backup'
union all
select format('membership: %s in %s', m.member::regrole, m.roleid::regrole)
from pg_catalog.pg_auth_members as m
where m.member::regrole::text like 'ts\_%' and m.roleid::regrole::text like 'ts\_%'
order by 1
