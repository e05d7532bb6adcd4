-- The audit log: one hash chain per organization, gapless, ordered by the row lock on its head.

create table warehouse.audit_heads (
  organization_id text primary key references warehouse.organizations,
  seq bigint not null check (seq >= 0),
  row_hash text not null check (row_hash ~ '^[0-9a-f]{64}$')
) with (fillfactor = 50);

create table warehouse.audit_log (
  organization_id text not null default warehouse.require_organization()
    references warehouse.organizations,
  seq bigint not null check (seq >= 1),
  occurred_at timestamptz not null,
  actor text not null check (length(actor) between 1 and 200),
  db_user text not null,
  action text not null check (action in (
    'connect', 'sync', 'sync_failed', 'reauth', 'revoke', 'assessment_approved',
    'retention_checkpoint', 'credential_rewrapped', 'bi_login_granted', 'bi_login_revoked',
    'alert_opened', 'alert_resolved'
  )),
  connection_id uuid,
  run_id uuid,
  detail jsonb not null default '{}' check (jsonb_typeof(detail) = 'object'),
  prev_hash text not null check (prev_hash ~ '^[0-9a-f]{64}$'),
  row_hash text not null check (row_hash ~ '^[0-9a-f]{64}$'),
  primary key (organization_id, seq),
  -- No key to the run: the log outlives the runs that retention prunes.
  foreign key (organization_id, connection_id) references warehouse.connections
);
create index audit_log_by_run on warehouse.audit_log (organization_id, run_id)
  where run_id is not null;

-- One field of the hashed bytes: a null and an empty text differ, and so do ('ab', 'c') and
-- ('a', 'bc'), because each field says its length in bytes first.
create function warehouse.audit_field(value text) returns bytea
language sql immutable
set search_path = warehouse, pg_catalog, pg_temp
as $$
  select case
    when value is null then '\x00'::bytea
    else '\x01'::bytea || int4send(octet_length(convert_to(value, 'UTF8')))
      || convert_to(value, 'UTF8')
  end
$$;

create function warehouse.chain_audit_row() returns trigger
language plpgsql security definer
set search_path = warehouse, pg_catalog, pg_temp
as $$
declare
  head audit_heads%rowtype;
begin
  insert into audit_heads (organization_id, seq, row_hash)
  values (new.organization_id, 0, repeat('0', 64))
  on conflict do nothing;
  select * into strict head from audit_heads as h
  where h.organization_id = new.organization_id
  for update; -- later writers of this organization wait here until we commit

  -- A run ends once. Checked here, under the lock, and not by a unique index: with ON CONFLICT
  -- DO NOTHING an index would drop the row after the head had moved on.
  if new.action in ('sync', 'sync_failed') and exists (
    select from audit_log as a
    where a.organization_id = new.organization_id and a.run_id = new.run_id
      and a.action in ('sync', 'sync_failed')
  ) then
    raise exception 'the end of run % is already in the audit log', new.run_id
      using errcode = 'unique_violation';
  end if;

  new.seq := head.seq + 1;
  new.occurred_at := clock_timestamp();
  new.db_user := session_user;
  new.prev_hash := head.row_hash;
  new.row_hash := encode(sha256(
    convert_to('thirdsentry audit 1', 'UTF8')
    || audit_field(new.organization_id)
    || audit_field(new.seq::text)
    || audit_field(
      to_char(new.occurred_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
    )
    || audit_field(new.actor)
    || audit_field(new.db_user)
    || audit_field(new.action)
    || audit_field(new.connection_id::text)
    || audit_field(new.run_id::text)
    || audit_field(new.detail::text)
    || audit_field(new.prev_hash)
  ), 'hex');
  update audit_heads as h set seq = new.seq, row_hash = new.row_hash
  where h.organization_id = new.organization_id;
  return new;
end
$$;

create trigger audit_chain before insert on warehouse.audit_log
  for each row execute function warehouse.chain_audit_row();
create trigger append_only before update or delete or truncate on warehouse.audit_log
  for each statement execute function warehouse.refuse_change();
create trigger never_deleted before delete or truncate on warehouse.audit_heads
  for each statement execute function warehouse.refuse_change();
alter table warehouse.audit_log enable always trigger audit_chain;
alter table warehouse.audit_log enable always trigger append_only;
alter table warehouse.audit_heads enable always trigger never_deleted;

alter table warehouse.audit_log enable row level security;
alter table warehouse.audit_log force row level security;
alter table warehouse.audit_log
  alter column organization_id set statistics 0,
  alter column actor set statistics 0,
  alter column db_user set statistics 0,
  alter column detail set statistics 0,
  alter column prev_hash set statistics 0,
  alter column row_hash set statistics 0;
alter table warehouse.audit_heads enable row level security;
alter table warehouse.audit_heads force row level security;
alter table warehouse.audit_heads
  alter column organization_id set statistics 0,
  alter column row_hash set statistics 0;

create policy pipeline_reads on warehouse.audit_log for select to ts_pipeline
  using (organization_id = nullif(current_setting('app.organization_id', true), ''));
-- Only retention writes the checkpoint that lets a chain begin later than at its first row.
create policy pipeline_appends on warehouse.audit_log for insert to ts_pipeline
  with check (
    organization_id = nullif(current_setting('app.organization_id', true), '')
    and action <> 'retention_checkpoint'
  );
grant select on warehouse.audit_log to ts_pipeline;
-- What makes a row provable (order, time, user, hashes) is the trigger's alone.
grant insert (organization_id, actor, action, connection_id, run_id, detail)
  on warehouse.audit_log to ts_pipeline;

create policy pipeline_reads on warehouse.audit_heads for select to ts_pipeline
  using (organization_id = nullif(current_setting('app.organization_id', true), ''));
grant select on warehouse.audit_heads to ts_pipeline;

-- The trigger works as the owner, which row security binds to the same organization.
create policy owner_chains on warehouse.audit_heads for all to ts_owner
  using (organization_id = nullif(current_setting('app.organization_id', true), ''));
create policy owner_chains on warehouse.audit_log for select to ts_owner
  using (organization_id = nullif(current_setting('app.organization_id', true), ''));
