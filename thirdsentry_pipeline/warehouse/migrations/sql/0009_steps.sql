-- How a connection's evidence goes stale while nothing is written: one row that holds every step
-- of it, so that coverage of a thousand organizations need not add up each piece of evidence anew.
-- A projection of evidence_state, written with it, and like it of no clock: which of the steps time
-- has taken is judged by whoever reads.
create table warehouse.evidence_steps (
  organization_id text not null,
  connection_id uuid not null,
  -- When each type that was ever read well was last true, oldest first.
  true_at timestamptz[] not null,
  -- Beside each of these moments the types that were true then or later, a bit each.
  true_since integer[] not null,
  failing integer not null,
  not_passing integer not null,
  primary key (organization_id, connection_id),
  foreign key (organization_id, connection_id) references warehouse.connections,
  constraint evidence_steps_are_pairs check (cardinality(true_at) = cardinality(true_since))
) with (fillfactor = 80);

-- The bit of an evidence type among those of its connector; NULL for one that coverage knows
-- nothing of. A new type takes the connector's next bit, and no bit changes its meaning without
-- telling every row anew.
create function warehouse.evidence_bit(evidence_type text) returns integer
language sql immutable parallel safe
as $$
  select case evidence_bit.evidence_type
    when 'aws.iam.root_mfa' then 1
    when 'aws.iam.mfa_coverage' then 2
    when 'aws.iam.password_policy' then 4
    when 'aws.cloudtrail.multi_region_logging' then 8
    when 'aws.s3.account_public_access_block' then 16
    when 'aws.guardduty.status' then 32
    when 'aws.guardduty.high_severity_findings' then 64
  end
$$;

create function warehouse.steps_of(organization_id text, connection_id uuid)
returns table (true_at timestamptz[], true_since integer[], failing integer, not_passing integer)
language sql stable
set search_path = warehouse, pg_catalog, pg_temp
as $$
  with good as (
    select s.last_ok_at, s.verdict, evidence_bit(s.evidence_type) as bit
    from evidence_state as s
    where s.organization_id = steps_of.organization_id
      and s.connection_id = steps_of.connection_id
      and s.last_ok_at is not null
  ),

  steps as (
    select
      last_ok_at, verdict, bit,
      -- Those of one moment are all among those of that moment or later.
      bit_or(bit) over (order by last_ok_at desc) as true_since
    from good
    where bit is not null
  )

  select
    coalesce(array_agg(last_ok_at order by last_ok_at), '{}'),
    coalesce(array_agg(true_since order by last_ok_at), '{}'),
    coalesce(bit_or(bit) filter (where verdict = 'fail'), 0),
    coalesce(bit_or(bit) filter (where verdict <> 'pass'), 0)
  from steps
$$;

create function warehouse.project_steps() returns trigger
language plpgsql
set search_path = warehouse, pg_catalog, pg_temp
as $$
begin
  -- An upsert fires this twice, once without a row.
  if not exists (select from changed) then
    return null;
  end if;
  -- Of two that write a connection's evidence the second waits here, and then tells it from the
  -- rows of both. A run holds this lock already.
  perform from connections as c
  where exists (
    select from changed as s
    where s.organization_id = c.organization_id and s.connection_id = c.connection_id
  )
  order by c.organization_id, c.connection_id
  for no key update;
  insert into evidence_steps as kept (
    organization_id, connection_id, true_at, true_since, failing, not_passing
  )
  select s.organization_id, s.connection_id, told.*
  from (select distinct organization_id, connection_id from changed) as s
  cross join lateral steps_of(s.organization_id, s.connection_id) as told
  order by s.organization_id, s.connection_id
  on conflict (organization_id, connection_id) do update set
    true_at = excluded.true_at,
    true_since = excluded.true_since,
    failing = excluded.failing,
    not_passing = excluded.not_passing
  where (kept.true_at, kept.true_since, kept.failing, kept.not_passing)
    is distinct from
    (excluded.true_at, excluded.true_since, excluded.failing, excluded.not_passing);
  return null;
end
$$;

create trigger projects_steps_of_new after insert on warehouse.evidence_state
  referencing new table as changed
  for each statement execute function warehouse.project_steps();
create trigger projects_steps_of_changed after update on warehouse.evidence_state
  referencing new table as changed
  for each statement execute function warehouse.project_steps();
create trigger projects_steps_of_gone after delete on warehouse.evidence_state
  referencing old table as changed
  for each statement execute function warehouse.project_steps();
alter table warehouse.evidence_state
  enable always trigger projects_steps_of_new,
  enable always trigger projects_steps_of_changed,
  enable always trigger projects_steps_of_gone;

grant execute on function warehouse.evidence_bit(text)
  to ts_pipeline, ts_transform, ts_checker, ts_bi;
grant execute on function warehouse.steps_of(text, uuid) to ts_pipeline, ts_transform, ts_checker;

-- What was collected before. Forced row security hides the states from their owner as well; nobody
-- else sees them unforced, because all of this commits at once.
alter table warehouse.evidence_state no force row level security;
insert into warehouse.evidence_steps (
  organization_id, connection_id, true_at, true_since, failing, not_passing
)
select s.organization_id, s.connection_id, told.*
from (select distinct organization_id, connection_id from warehouse.evidence_state) as s
cross join lateral warehouse.steps_of(s.organization_id, s.connection_id) as told;
alter table warehouse.evidence_state force row level security;

alter table warehouse.evidence_steps enable row level security;
alter table warehouse.evidence_steps force row level security;
alter table warehouse.evidence_steps alter column organization_id set statistics 0;

-- Whoever reads or writes a state reads or writes its steps.
create policy pipeline_reads on warehouse.evidence_steps for select to ts_pipeline
  using (organization_id = nullif(current_setting('app.organization_id', true), ''));
create policy pipeline_adds on warehouse.evidence_steps for insert to ts_pipeline
  with check (organization_id = nullif(current_setting('app.organization_id', true), ''));
create policy pipeline_changes on warehouse.evidence_steps for update to ts_pipeline
  using (organization_id = nullif(current_setting('app.organization_id', true), ''));
create policy transform_reads on warehouse.evidence_steps for select to ts_transform using (true);
create policy checker_reads on warehouse.evidence_steps for select to ts_checker using (true);
create policy reader_reads on warehouse.evidence_steps for select to ts_bi
  using (organization_id = any (array[(select warehouse.reader_organization_id())]));
grant select, insert on warehouse.evidence_steps to ts_pipeline;
grant update (true_at, true_since, failing, not_passing) on warehouse.evidence_steps to ts_pipeline;
grant select on warehouse.evidence_steps to ts_transform, ts_checker, ts_bi;
