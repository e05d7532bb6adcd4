-- Whoever checks the invariants must see every organization's rows, because row security would
-- hide what leaked. No login holds this role: an administrator acts as it for one read-only
-- transaction, so no password opens it, and a managed Postgres needs no BYPASSRLS for it.
do $$
declare
  attributes record;
begin
  if not exists (select from pg_roles where rolname = 'ts_checker') then
    begin
      create role ts_checker nologin;
    exception
      when duplicate_object or unique_violation then null; -- another database's migration
    end;
  end if;
  select rolcanlogin, rolsuper, rolbypassrls, rolcreatedb, rolcreaterole, rolreplication
  into attributes from pg_roles where rolname = 'ts_checker';
  if attributes.rolcanlogin or attributes.rolsuper or attributes.rolbypassrls
    or attributes.rolcreatedb or attributes.rolcreaterole or attributes.rolreplication
  then
    raise exception 'role ts_checker already exists with more power than it may have';
  end if;
  if not (select rolsuper from pg_roles where rolname = current_user)
    and not pg_has_role(
      current_user, 'ts_checker',
      case when current_setting('server_version_num')::int < 160000 then 'member' else 'set' end
    )
  then
    execute format('grant ts_checker to %I', current_user);
  end if;
end
$$;
