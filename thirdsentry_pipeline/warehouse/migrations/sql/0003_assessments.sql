-- Assessments: a draft collects evidence; approved, it is frozen with everything it holds.
create table warehouse.assessments (
  organization_id text not null default warehouse.require_organization()
    references warehouse.organizations,
  assessment_id uuid not null default gen_random_uuid(),
  title text not null check (length(title) between 1 and 200),
  status text not null default 'draft' check (status in ('draft', 'approved')),
  created_at timestamptz not null default clock_timestamp(),
  created_by text not null check (length(created_by) between 1 and 200),
  approved_at timestamptz,
  approved_by text check (length(approved_by) between 1 and 200),
  primary key (organization_id, assessment_id),
  constraint assessments_approval_is_whole check (
    (status = 'approved') = (approved_at is not null)
    and (status = 'approved') = (approved_by is not null)
  )
);

create table warehouse.assessment_evidence (
  organization_id text not null default warehouse.require_organization()
    references warehouse.organizations,
  assessment_id uuid not null,
  evidence_id uuid not null,
  attached_at timestamptz not null default clock_timestamp(),
  attached_by text not null check (length(attached_by) between 1 and 200),
  primary key (organization_id, assessment_id, evidence_id),
  foreign key (organization_id, assessment_id) references warehouse.assessments,
  -- Without a cascade: this is also what keeps attached evidence from being pruned.
  foreign key (organization_id, evidence_id) references warehouse.evidence
);
create index assessment_evidence_by_evidence
  on warehouse.assessment_evidence (organization_id, evidence_id);

-- Attach and detach lock the assessment's row in share mode, so an approval, which updates it,
-- waits for an attach in flight, and an attach waits for an approval and is then refused.
create function warehouse.guard_attachment() returns trigger
language plpgsql
set search_path = warehouse, pg_catalog, pg_temp
as $$
declare
  held record;
  found_status text;
begin
  if tg_op = 'UPDATE' then
    raise exception 'an attachment is added or removed, never changed'
      using errcode = 'restrict_violation';
  end if;
  if tg_op = 'INSERT' then held := new; else held := old; end if;
  select a.status into found_status from assessments as a
  where a.organization_id = held.organization_id and a.assessment_id = held.assessment_id
  for share;
  if found_status = 'approved' then
    raise exception 'assessment % is approved and frozen', held.assessment_id
      using errcode = 'restrict_violation';
  end if;
  return held;
end
$$;

create function warehouse.guard_assessment() returns trigger
language plpgsql
set search_path = warehouse, pg_catalog, pg_temp
as $$
begin
  if tg_op = 'INSERT' then
    if new.status <> 'draft' then
      raise exception 'an assessment begins as a draft' using errcode = 'restrict_violation';
    end if;
    return new;
  end if;
  if old.status = 'approved' then
    raise exception 'assessment % is approved and frozen', old.assessment_id
      using errcode = 'restrict_violation';
  end if;
  if new.status = 'approved' then
    new.approved_at := clock_timestamp();
  end if;
  return new;
end
$$;

create trigger frozen_when_approved before insert or update on warehouse.assessments
  for each row execute function warehouse.guard_assessment();
create trigger never_deleted before delete or truncate on warehouse.assessments
  for each statement execute function warehouse.refuse_change();
create trigger frozen_when_approved before insert or update or delete
  on warehouse.assessment_evidence
  for each row execute function warehouse.guard_attachment();
create trigger never_truncated before truncate on warehouse.assessment_evidence
  for each statement execute function warehouse.refuse_change();
alter table warehouse.assessments enable always trigger frozen_when_approved;
alter table warehouse.assessments enable always trigger never_deleted;
alter table warehouse.assessment_evidence enable always trigger frozen_when_approved;
alter table warehouse.assessment_evidence enable always trigger never_truncated;

alter table warehouse.assessments enable row level security;
alter table warehouse.assessments force row level security;
alter table warehouse.assessments
  alter column organization_id set statistics 0,
  alter column title set statistics 0,
  alter column created_by set statistics 0,
  alter column approved_by set statistics 0;
alter table warehouse.assessment_evidence enable row level security;
alter table warehouse.assessment_evidence force row level security;
alter table warehouse.assessment_evidence
  alter column organization_id set statistics 0,
  alter column attached_by set statistics 0;

create policy pipeline_reads on warehouse.assessments for select to ts_pipeline
  using (organization_id = nullif(current_setting('app.organization_id', true), ''));
create policy pipeline_adds on warehouse.assessments for insert to ts_pipeline
  with check (organization_id = nullif(current_setting('app.organization_id', true), ''));
create policy pipeline_changes on warehouse.assessments for update to ts_pipeline
  using (organization_id = nullif(current_setting('app.organization_id', true), ''));
grant select on warehouse.assessments to ts_pipeline;
grant insert (organization_id, assessment_id, title, created_by)
  on warehouse.assessments to ts_pipeline;
grant update (title, status, approved_by) on warehouse.assessments to ts_pipeline;

create policy pipeline_reads on warehouse.assessment_evidence for select to ts_pipeline
  using (organization_id = nullif(current_setting('app.organization_id', true), ''));
create policy pipeline_attaches on warehouse.assessment_evidence for insert to ts_pipeline
  with check (organization_id = nullif(current_setting('app.organization_id', true), ''));
create policy pipeline_detaches on warehouse.assessment_evidence for delete to ts_pipeline
  using (organization_id = nullif(current_setting('app.organization_id', true), ''));
grant select, delete on warehouse.assessment_evidence to ts_pipeline;
grant insert (organization_id, assessment_id, evidence_id, attached_by)
  on warehouse.assessment_evidence to ts_pipeline;

-- Alerts, and the outbox in the same row: what is not yet delivered has no notified_at.
create table warehouse.alerts (
  organization_id text not null default warehouse.require_organization()
    references warehouse.organizations,
  alert_id uuid not null default gen_random_uuid(),
  kind text not null check (kind in ('stale', 'sync_failed', 'needs_reauth')),
  episode_key text not null check (length(episode_key) between 1 and 300),
  connection_id uuid,
  evidence_type text,
  opened_at timestamptz not null default clock_timestamp(),
  resolved_at timestamptz,
  notified_at timestamptz,
  resolution_notified_at timestamptz,
  delivery_attempts integer not null default 0 check (delivery_attempts >= 0),
  next_delivery_at timestamptz not null default clock_timestamp(),
  last_delivery_error text check (length(last_delivery_error) <= 500),
  taken_by text[] not null default '{}', -- sinks that took what is still due at others
  detail jsonb not null default '{}' check (jsonb_typeof(detail) = 'object'),
  primary key (organization_id, alert_id),
  unique (organization_id, episode_key),
  foreign key (organization_id, connection_id) references warehouse.connections
);
create index alerts_by_time on warehouse.alerts (organization_id, opened_at desc);
create index alerts_open on warehouse.alerts (organization_id, kind) where resolved_at is null;

create trigger never_deleted before delete or truncate on warehouse.alerts
  for each statement execute function warehouse.refuse_change();
alter table warehouse.alerts enable always trigger never_deleted;
alter table warehouse.alerts enable row level security;
alter table warehouse.alerts force row level security;
alter table warehouse.alerts
  alter column organization_id set statistics 0,
  alter column episode_key set statistics 0,
  alter column last_delivery_error set statistics 0,
  alter column taken_by set statistics 0,
  alter column detail set statistics 0;

create policy pipeline_reads on warehouse.alerts for select to ts_pipeline
  using (organization_id = nullif(current_setting('app.organization_id', true), ''));
create policy pipeline_adds on warehouse.alerts for insert to ts_pipeline
  with check (organization_id = nullif(current_setting('app.organization_id', true), ''));
create policy pipeline_changes on warehouse.alerts for update to ts_pipeline
  using (organization_id = nullif(current_setting('app.organization_id', true), ''));
grant select, insert on warehouse.alerts to ts_pipeline;
grant update (
  resolved_at, notified_at, resolution_notified_at, delivery_attempts, next_delivery_at,
  last_delivery_error, taken_by
) on warehouse.alerts to ts_pipeline;
