-- Roles belong to the cluster, not to the database: another database of the same server may have
-- made them, and two migrations may race. So each is created only when missing, a lost race
-- counts as done, and what already exists is checked instead of trusted.
do $$
declare
  wanted record;
  attributes record;
begin
  for wanted in
    select role_name, options
    from (values
      ('ts_owner', 'nologin'),        -- owns every warehouse object
      ('ts_pipeline', 'nologin'),     -- reads and appends inside one organization
      ('ts_scheduler', 'nologin'),    -- lists live organization ids
      ('ts_transform', 'nologin'),    -- dbt: reads all organizations, owns schema coverage
      ('ts_bi', 'nologin'),           -- group of BI logins, each bound to one organization
      ('ts_auditor', 'nologin'),      -- BI, plus evidence, assessments and the audit log
      ('ts_retention', 'nologin'),    -- owns the one function that may delete
      ('ts_bi_admin', 'nologin createrole'), -- owns the two functions that make and drop BI logins
      ('ts_backup', 'nologin bypassrls')     -- pg_dump; an operator enables it
    ) as roles (role_name, options)
  loop
    if not exists (select from pg_roles where rolname = wanted.role_name) then
      begin
        execute format('create role %I %s', wanted.role_name, wanted.options);
      exception
        when duplicate_object or unique_violation then null;
        when insufficient_privilege then
          -- A managed Postgres may not let its administrator hand out BYPASSRLS.
          if wanted.role_name <> 'ts_backup' then raise; end if;
          execute format('create role %I nologin', wanted.role_name);
      end;
    end if;
    select rolsuper, rolbypassrls, rolcreatedb, rolreplication into attributes
    from pg_roles where rolname = wanted.role_name;
    if attributes.rolsuper or attributes.rolcreatedb or attributes.rolreplication
      or (attributes.rolbypassrls and wanted.role_name <> 'ts_backup')
    then
      raise exception 'role % already exists with more power than it may have', wanted.role_name;
    end if;
    -- An administrator who is not superuser must be able to act as the roles it prepares. From 16
    -- on, making a role gives a membership that does not allow that.
    if not (select rolsuper from pg_roles where rolname = current_user)
      and not pg_has_role(
        current_user, wanted.role_name,
        case when current_setting('server_version_num')::int < 160000 then 'member' else 'set' end
      )
    then
      execute format('grant %I to %I', wanted.role_name, current_user);
    end if;
  end loop;

  -- Auditors see what BI sees. Membership never changes after this, so a lost race is harmless.
  if not pg_has_role('ts_auditor', 'ts_bi', 'member') then
    grant ts_bi to ts_auditor;
  end if;
  if not exists (
    select from pg_auth_members
    where member = 'ts_bi_admin'::regrole and admin_option
      and roleid in ('ts_bi'::regrole, 'ts_auditor'::regrole)
  ) then
    grant ts_bi, ts_auditor to ts_bi_admin with admin option;
  end if;
end
$$;

-- env.py made the schema so that Alembic's own table has a place.
alter schema warehouse owner to ts_owner;
create schema coverage authorization ts_transform;

revoke all on schema public from public;
grant usage on schema warehouse to
  ts_pipeline, ts_scheduler, ts_transform, ts_bi, ts_retention, ts_bi_admin, ts_backup;
grant usage on schema coverage to ts_pipeline, ts_bi, ts_backup;

-- Functions are executable by everyone unless this is said first.
alter default privileges for role ts_owner revoke execute on functions from public;
alter default privileges for role ts_owner in schema warehouse grant select on tables to ts_backup;
alter default privileges for role ts_transform in schema coverage
  grant select on tables to ts_backup;
