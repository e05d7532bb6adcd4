-- Append-only, layer two: the statement fails for everyone, superuser and replication included.
-- Only the retention function runs as ts_retention, and it may only delete.
create function warehouse.refuse_change() returns trigger
language plpgsql
set search_path = warehouse, pg_catalog, pg_temp
as $$
begin
  if tg_op = 'DELETE' and current_user = 'ts_retention' then
    return null; -- a statement trigger's value is ignored: the delete goes on
  end if;
  raise exception '% on warehouse.% is refused: the table is append-only', tg_op, tg_table_name
    using errcode = 'restrict_violation';
end
$$;

create trigger append_only before update or delete or truncate on warehouse.evidence
  for each statement execute function warehouse.refuse_change();
create trigger append_only before update or delete or truncate on warehouse.evidence_observations
  for each statement execute function warehouse.refuse_change();
create trigger append_only before update or delete or truncate on warehouse.identity_claims
  for each statement execute function warehouse.refuse_change();
create trigger never_deleted before delete or truncate on warehouse.connections
  for each statement execute function warehouse.refuse_change();
create trigger never_deleted before delete or truncate on warehouse.connector_runs
  for each statement execute function warehouse.refuse_change();

-- A run ends once; a revoked connection stays revoked.
create function warehouse.refuse_reopening() returns trigger
language plpgsql
set search_path = warehouse, pg_catalog, pg_temp
as $$
begin
  if tg_table_name = 'connector_runs' then
    if old.status <> 'running' then
      raise exception 'run % has already ended', old.run_id using errcode = 'restrict_violation';
    end if;
  elsif old.deleted_at is not null then
    raise exception 'connection % is revoked', old.connection_id
      using errcode = 'restrict_violation';
  end if;
  return new;
end
$$;
create trigger ends_once before update on warehouse.connector_runs
  for each row execute function warehouse.refuse_reopening();
create trigger revoked_once before update on warehouse.connections
  for each row execute function warehouse.refuse_reopening();

do $$
declare
  t record;
begin
  for t in
    select tgrelid::regclass as table_name, tgname from pg_trigger
    where not tgisinternal and tgrelid in (
      select oid from pg_class where relnamespace = 'warehouse'::regnamespace
    )
  loop
    execute format('alter table %s enable always trigger %I', t.table_name, t.tgname);
  end loop;
end
$$;

-- The only way to a list of organizations. 'partitioned' leaves out those whose last connection was
-- revoked; 'due' gives those with a live connection that does not wait after refusals.
create function warehouse.live_organization_ids(wanted text default 'all')
returns setof text
language sql stable security definer
set search_path = warehouse, pg_catalog, pg_temp
as $$
  select o.organization_id
  from organizations as o
  where o.deleted_at is null
    and case wanted
      when 'all' then true
      when 'partitioned' then exists (
        select from connections as c
        where c.organization_id = o.organization_id and c.deleted_at is null
      ) or not exists (
        select from connections as c where c.organization_id = o.organization_id
      )
      when 'due' then exists (
        select from connections as c
        where c.organization_id = o.organization_id and c.deleted_at is null
          and (c.next_attempt_at is null or c.next_attempt_at <= clock_timestamp())
      )
      else false
    end
  order by o.organization_id
$$;

-- True when the identity is, or now becomes, the current organization's; false when another has
-- it. A claim is never released: a revoked connection's role stays with its organization.
create function warehouse.claim_identity(kind text, digest text) returns boolean
language plpgsql security definer
set search_path = warehouse, pg_catalog, pg_temp
as $$
declare
  mine constant text := require_organization();
  keyed bytea;
begin
  if claim_identity.digest !~ '^[0-9a-f]{64}$' then
    raise exception 'an identity is claimed by its SHA-256 digest in hexadecimal';
  end if;
  select sha256(s.secret || sha256(s.secret || convert_to(claim_identity.digest, 'UTF8')))
  into strict keyed
  from identity_secret as s;
  insert into identity_claims (organization_id, kind, keyed_digest)
  values (mine, claim_identity.kind, keyed)
  on conflict do nothing;
  return exists (
    select from identity_claims as c
    where c.organization_id = mine and c.kind = claim_identity.kind and c.keyed_digest = keyed
  );
end
$$;

grant execute on function warehouse.require_organization() to
  ts_pipeline, ts_retention, ts_bi_admin;
grant execute on function warehouse.live_organization_ids(text) to ts_scheduler;
grant execute on function warehouse.claim_identity(text, text) to ts_pipeline;
