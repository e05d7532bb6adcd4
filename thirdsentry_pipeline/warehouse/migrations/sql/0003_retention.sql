-- The one door for deletion, for the current organization alone. It keeps whatever an assessment
-- holds, the newest reads, and everything that kept rows point to; it moves no clock of its own.
create function warehouse.prune_organization(actor text)
returns table (observations bigint, evidence bigint, runs bigint, alerts bigint, audit_rows bigint)
language plpgsql security definer
set search_path = warehouse, pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  mine constant text := require_organization();
  cutoff timestamptz;
  last_pruned_seq bigint;
  last_pruned_hash text;
begin
  select clock_timestamp() - make_interval(hours => 24 * o.retention_days) into strict cutoff
  from organizations as o where o.organization_id = mine;

  delete from evidence_observations as o
  where o.organization_id = mine and o.observed_at < cutoff
    and not exists (
      select from assessment_evidence as h
      where h.organization_id = mine and h.evidence_id = o.evidence_id
    )
    and exists ( -- a newer attempt of the same thing stays
      select from evidence_observations as newer
      where newer.organization_id = mine and newer.connection_id = o.connection_id
        and newer.evidence_type = o.evidence_type and newer.observed_at > o.observed_at
    )
    and (o.read_status <> 'ok' or exists ( -- and a newer good one, if this one was good
      select from evidence_observations as newer
      where newer.organization_id = mine and newer.connection_id = o.connection_id
        and newer.evidence_type = o.evidence_type and newer.observed_at > o.observed_at
        and newer.read_status = 'ok'
    ));
  get diagnostics observations = row_count;

  delete from evidence as e
  where e.organization_id = mine and e.first_observed_at < cutoff
    and not exists (
      select from evidence_observations as o
      where o.organization_id = mine and o.evidence_id = e.evidence_id
    )
    and not exists (
      select from evidence_state as s
      where s.organization_id = mine and s.evidence_id = e.evidence_id
    )
    and not exists (
      select from assessment_evidence as h
      where h.organization_id = mine and h.evidence_id = e.evidence_id
    );
  get diagnostics evidence = row_count;

  delete from connector_runs as r
  where r.organization_id = mine and r.finished_at < cutoff
    and not exists (
      select from evidence_observations as o
      where o.organization_id = mine and o.run_id = r.run_id
    )
    and not exists (
      select from evidence as e
      where e.organization_id = mine and e.first_run_id = r.run_id
    );
  get diagnostics runs = row_count;

  delete from alerts as a where a.organization_id = mine and a.resolved_at < cutoff;
  get diagnostics alerts = row_count;

  -- The audit log loses a prefix only: the chain then starts right after a checkpoint's row.
  select a.seq, a.row_hash into last_pruned_seq, last_pruned_hash
  from audit_log as a
  where a.organization_id = mine and a.seq < coalesce(
    (select min(kept.seq) from audit_log as kept
     where kept.organization_id = mine and kept.occurred_at >= cutoff),
    (select max(kept.seq) from audit_log as kept where kept.organization_id = mine)
  )
  order by a.seq desc limit 1;
  delete from audit_log as a where a.organization_id = mine and a.seq <= last_pruned_seq;
  get diagnostics audit_rows = row_count;

  if observations + evidence + runs + alerts + audit_rows > 0 then
    insert into audit_log (organization_id, actor, action, detail)
    values (mine, actor, 'retention_checkpoint', jsonb_build_object(
      'cutoff', to_char(cutoff at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
      'pruned_through_seq', last_pruned_seq,
      'pruned_through_hash', last_pruned_hash,
      'observations', observations, 'evidence', evidence, 'runs', runs, 'alerts', alerts,
      'audit_rows', audit_rows
    ));
  end if;
  return next;
end
$$;
grant execute on function warehouse.prune_organization(text) to ts_pipeline;

grant select on
  warehouse.organizations, warehouse.evidence, warehouse.evidence_observations,
  warehouse.evidence_state, warehouse.connector_runs, warehouse.alerts,
  warehouse.assessment_evidence, warehouse.audit_log
to ts_retention;
grant delete on
  warehouse.evidence, warehouse.evidence_observations, warehouse.connector_runs,
  warehouse.alerts, warehouse.audit_log
to ts_retention;
grant insert (organization_id, actor, action, detail) on warehouse.audit_log to ts_retention;

create policy retention_reads on warehouse.organizations for select to ts_retention
  using (organization_id = nullif(current_setting('app.organization_id', true), ''));
create policy retention_reads on warehouse.evidence_state for select to ts_retention
  using (organization_id = nullif(current_setting('app.organization_id', true), ''));
create policy retention_reads on warehouse.assessment_evidence for select to ts_retention
  using (organization_id = nullif(current_setting('app.organization_id', true), ''));
create policy retention_prunes on warehouse.evidence for all to ts_retention
  using (organization_id = nullif(current_setting('app.organization_id', true), ''));
create policy retention_prunes on warehouse.evidence_observations for all to ts_retention
  using (organization_id = nullif(current_setting('app.organization_id', true), ''));
create policy retention_prunes on warehouse.connector_runs for all to ts_retention
  using (organization_id = nullif(current_setting('app.organization_id', true), ''));
create policy retention_prunes on warehouse.alerts for all to ts_retention
  using (organization_id = nullif(current_setting('app.organization_id', true), ''));
create policy retention_prunes on warehouse.audit_log for all to ts_retention
  using (organization_id = nullif(current_setting('app.organization_id', true), ''));
