-- Turns warehouse.evidence_observations into a table partitioned by month, without copying a row.
-- On paper until docs/capacity.md says it is time; a test runs it on every release's schema.
-- As an administrator who may `set role ts_owner`, with the schedules off, in psql:
--   psql "$THIRDSENTRY_ADMIN_DATABASE_URL" -v ON_ERROR_STOP=1 \
--     -v boundary=2027-01-01 -v next=2027-02-01 -f deploy/partition_observations.sql
-- Then `thirdsentry db migrate`, which lets the coverage views read the new table.
set role ts_owner;
-- A partitioned table's keys must hold the column it is partitioned by. The old key stays a unique
-- index of each partition: a run writes its observations once, in one transaction.
create unique index concurrently evidence_observations_in_time
  on warehouse.evidence_observations
  (organization_id, run_id, connection_id, evidence_type, observed_at);
create unique index concurrently evidence_observations_once
  on warehouse.evidence_observations (organization_id, run_id, connection_id, evidence_type);
-- Proven beforehand, so that attaching has nothing to read.
alter table warehouse.evidence_observations
  add constraint before_the_boundary check (observed_at < :'boundary') not valid;
alter table warehouse.evidence_observations validate constraint before_the_boundary;
begin;
set local lock_timeout = '15s';
alter table warehouse.evidence_observations
  rename to evidence_observations_before;
alter table warehouse.evidence_observations_before
  drop constraint evidence_observations_pkey,
  add primary key using index evidence_observations_in_time;
create table warehouse.evidence_observations (
  like warehouse.evidence_observations_before
  including defaults including constraints
) partition by range (observed_at);
alter table warehouse.evidence_observations
  drop constraint before_the_boundary,
  add primary key (organization_id, run_id, connection_id, evidence_type, observed_at),
  add foreign key (organization_id, run_id, connection_id)
    references warehouse.connector_runs (organization_id, run_id, connection_id),
  add foreign key (organization_id, evidence_id, evidence_type)
    references warehouse.evidence (organization_id, evidence_id, evidence_type),
  enable row level security,
  force row level security;
-- The same policies and grants; the partition itself keeps its policies and loses its grants, so
-- that nobody reads or writes around the table.
do $$
declare
  one record;
begin
  for one in
    select * from pg_policies
    where schemaname = 'warehouse' and tablename = 'evidence_observations_before'
  loop
    execute format(
      'create policy %I on warehouse.evidence_observations for %s to %s %s %s',
      one.policyname, one.cmd, array_to_string(one.roles, ', '),
      'using (' || one.qual || ')', 'with check (' || one.with_check || ')'
    );
  end loop;
  for one in
    select c.relname, a.grantee::regrole as grantee, a.privilege_type, null as column_name
    from pg_class as c, aclexplode(c.relacl) as a
    where c.oid = 'warehouse.evidence_observations_before'::regclass
      and a.grantee <> c.relowner
    union all
    select null, a.grantee::regrole, a.privilege_type, t.attname
    from pg_attribute as t, aclexplode(t.attacl) as a
    where t.attrelid = 'warehouse.evidence_observations_before'::regclass
  loop
    execute format(
      'grant %s %s on warehouse.evidence_observations to %s', one.privilege_type,
      '(' || quote_ident(one.column_name) || ')', one.grantee
    );
    execute format(
      'revoke %s %s on warehouse.evidence_observations_before from %s', one.privilege_type,
      '(' || quote_ident(one.column_name) || ')', one.grantee
    );
  end loop;
end
$$;
alter table warehouse.evidence_observations
  attach partition warehouse.evidence_observations_before
  for values from (minvalue) to (:'boundary');
create index evidence_observations_of_type on warehouse.evidence_observations
  (organization_id, connection_id, evidence_type, observed_at desc);
create index evidence_observations_of_evidence on warehouse.evidence_observations
  (organization_id, evidence_id) where evidence_id is not null;
-- Each further month is made like this one, before it begins.
create table warehouse.evidence_observations_first_month
  partition of warehouse.evidence_observations (
    unique (organization_id, run_id, connection_id, evidence_type)
  ) for values from (:'boundary') to (:'next');
alter table warehouse.evidence_observations_first_month
  enable row level security, force row level security;
-- A statement's trigger fires for the table that the statement names: each has its own.
create trigger append_only before update or delete or truncate
  on warehouse.evidence_observations
  for each statement execute function warehouse.refuse_change();
create trigger append_only before update or delete or truncate
  on warehouse.evidence_observations_first_month
  for each statement execute function warehouse.refuse_change();
alter table warehouse.evidence_observations enable always trigger append_only;
alter table warehouse.evidence_observations_first_month enable always trigger append_only;
commit;
reset role;
