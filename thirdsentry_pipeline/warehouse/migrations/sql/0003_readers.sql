-- BI and audit logins: bound to one organization by who they are, never by a setting.
create table warehouse.bi_logins (
  organization_id text not null references warehouse.organizations,
  login text not null check (login ~ '^[a-z][a-z0-9_]{2,62}$'),
  reader_role text not null check (reader_role in ('ts_bi', 'ts_auditor')),
  granted_at timestamptz not null default clock_timestamp(),
  granted_by text not null,
  revoked_at timestamptz,
  primary key (organization_id, login, granted_at)
);
-- Logins are the cluster's, so this can't be per organization; no tenant role reads the table
-- beyond its own rows, and that a name is taken shows in pg_roles anyway.
create unique index bi_logins_one_organization on warehouse.bi_logins (login)
  where revoked_at is null;

alter table warehouse.bi_logins enable row level security;
alter table warehouse.bi_logins force row level security;
alter table warehouse.bi_logins
  alter column organization_id set statistics 0,
  alter column login set statistics 0,
  alter column granted_by set statistics 0;
create trigger never_deleted before delete or truncate on warehouse.bi_logins
  for each statement execute function warehouse.refuse_change();
alter table warehouse.bi_logins enable always trigger never_deleted;

create function warehouse.reader_organization_id() returns text
language sql stable security definer
set search_path = warehouse, pg_catalog, pg_temp
as $$
  select b.organization_id from bi_logins as b
  where b.login = session_user and b.revoked_at is null
$$;
grant execute on function warehouse.reader_organization_id() to ts_bi;

create policy owner_finds_reader on warehouse.bi_logins for select to ts_owner using (true);
create policy admin_binds on warehouse.bi_logins for all to ts_bi_admin
  using (organization_id = nullif(current_setting('app.organization_id', true), ''));
grant select, insert, update (revoked_at) on warehouse.bi_logins to ts_bi_admin;
create policy pipeline_reads on warehouse.bi_logins for select to ts_pipeline
  using (organization_id = nullif(current_setting('app.organization_id', true), ''));
grant select on warehouse.bi_logins to ts_pipeline;

-- (select …) makes the planner ask once per query instead of once per row. As "= any (array[…])"
-- the wall costs half an operator, so the planner puts it before every comparison a reader asks
-- for. As "=" it came after the leakproof ones, and EXPLAIN ANALYZE said whether the wall had been
-- asked at all: whether some organization's row had passed the reader's comparison.
create policy reader_reads on warehouse.organizations for select to ts_bi
  using (organization_id = any (array[(select warehouse.reader_organization_id())]));
create policy reader_reads on warehouse.connections for select to ts_bi
  using (organization_id = any (array[(select warehouse.reader_organization_id())]));
create policy reader_reads on warehouse.connector_runs for select to ts_bi
  using (organization_id = any (array[(select warehouse.reader_organization_id())]));
create policy reader_reads on warehouse.evidence for select to ts_bi
  using (organization_id = any (array[(select warehouse.reader_organization_id())]));
create policy reader_reads on warehouse.evidence_observations for select to ts_bi
  using (organization_id = any (array[(select warehouse.reader_organization_id())]));
create policy reader_reads on warehouse.evidence_state for select to ts_bi
  using (organization_id = any (array[(select warehouse.reader_organization_id())]));

-- Live views run with the reader's rights, so these are the columns the views may use.
-- The credential, its key version and the worker's host name are not among them.
grant select on
  warehouse.organizations, warehouse.evidence, warehouse.evidence_observations,
  warehouse.evidence_state
to ts_bi;
grant select (
  organization_id, connection_id, connector, account_id, role_arn, status, stale_after_hours,
  waived_regions, waived_region_reasons, failed_attempts, next_attempt_at, connected_at, deleted_at
) on warehouse.connections to ts_bi;
grant select (
  organization_id, run_id, connection_id, partition_day, dagster_run_id, status, error_code,
  api_calls, throttles, started_at, finished_at
) on warehouse.connector_runs to ts_bi;

-- Auditors are members of ts_bi; this is what they see beyond it.
create policy auditor_reads on warehouse.assessments for select to ts_auditor
  using (organization_id = any (array[(select warehouse.reader_organization_id())]));
create policy auditor_reads on warehouse.assessment_evidence for select to ts_auditor
  using (organization_id = any (array[(select warehouse.reader_organization_id())]));
create policy auditor_reads on warehouse.audit_log for select to ts_auditor
  using (organization_id = any (array[(select warehouse.reader_organization_id())]));
grant select on warehouse.assessments, warehouse.assessment_evidence, warehouse.audit_log
to ts_auditor;

-- dbt's history and alert tests.
create policy transform_reads on warehouse.alerts for select to ts_transform using (true);
grant select on warehouse.alerts to ts_transform;

-- Making a login needs CREATEROLE, which no role that logs in has: these two functions have it.
-- The password comes as a SCRAM verifier, so it never reaches a log or pg_stat_activity.
create function warehouse.create_bi_login(
  login text, verifier text, reader_role text, granted_by text
) returns void
language plpgsql security definer
set search_path = warehouse, pg_catalog, pg_temp
as $$
declare
  mine constant text := require_organization();
begin
  if create_bi_login.login !~ '^[a-z][a-z0-9_]{2,62}$'
    or create_bi_login.login ~ '^(pg|ts|thirdsentry)_'
  then
    raise exception 'a reader login is 3 to 63 of a-z, 0-9 and _, and not one of the product''s'
      using errcode = 'invalid_parameter_value';
  end if;
  if create_bi_login.verifier !~ '^SCRAM-SHA-256\$[0-9]+:[A-Za-z0-9+/=]+\$[A-Za-z0-9+/=]+:[A-Za-z0-9+/=]+$'
  then
    raise exception 'the password must come as a SCRAM-SHA-256 verifier'
      using errcode = 'invalid_parameter_value';
  end if;
  if create_bi_login.reader_role not in ('ts_bi', 'ts_auditor') then
    raise exception 'a reader is ts_bi or ts_auditor' using errcode = 'invalid_parameter_value';
  end if;
  -- The role first: a name that exists fails here, before any row of any organization is asked.
  execute format(
    'create role %I login nosuperuser nocreatedb nocreaterole noreplication nobypassrls'
    ' connection limit 10 password %L',
    create_bi_login.login, create_bi_login.verifier
  );
  execute format('alter role %I set default_transaction_read_only = on', create_bi_login.login);
  execute format('alter role %I set statement_timeout = ''120s''', create_bi_login.login);
  -- A forgotten transaction holds locks that the next build of the views waits for.
  execute format(
    'alter role %I set idle_in_transaction_session_timeout = ''600s''', create_bi_login.login
  );
  execute format('alter role %I set search_path = coverage', create_bi_login.login);
  execute format('grant %I to %I', create_bi_login.reader_role, create_bi_login.login);
  insert into bi_logins (organization_id, login, reader_role, granted_by)
  values (mine, create_bi_login.login, create_bi_login.reader_role, create_bi_login.granted_by);
end
$$;

-- True when the current organization had the login. Open sessions of it read nothing from the
-- commit on, because the binding is gone.
create function warehouse.drop_bi_login(login text) returns boolean
language plpgsql security definer
set search_path = warehouse, pg_catalog, pg_temp
as $$
begin
  perform require_organization();
  update bi_logins as b set revoked_at = clock_timestamp()
  where b.login = drop_bi_login.login and b.revoked_at is null;
  if not found then
    return false;
  end if;
  begin
    execute format('drop role if exists %I', drop_bi_login.login);
  exception
    when dependent_objects_still_exist then
      -- Anyone can own default privileges or a large object, and a role that owns something
      -- can't be dropped: what is left of it can't log in, reads nothing, and keeps its name.
      execute format('alter role %I nologin password null', drop_bi_login.login);
      execute format('revoke ts_bi, ts_auditor from %I', drop_bi_login.login);
  end;
  return true;
end
$$;
grant execute on function warehouse.create_bi_login(text, text, text, text) to ts_pipeline;
grant execute on function warehouse.drop_bi_login(text) to ts_pipeline;
