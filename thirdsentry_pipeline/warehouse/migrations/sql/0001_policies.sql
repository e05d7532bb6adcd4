-- Row-level security on every table with an organization, binding its owner too.
-- The setting is text compared with text: unset, empty, malformed or hostile gives no row.
do $$
declare
  tenant_table name;
begin
  for tenant_table in
    select c.relname
    from pg_class as c
    inner join pg_attribute as a on a.attrelid = c.oid and a.attname = 'organization_id'
    where c.relnamespace = 'warehouse'::regnamespace and c.relkind = 'r'
  loop
    execute format('alter table warehouse.%I enable row level security', tenant_table);
    execute format('alter table warehouse.%I force row level security', tenant_table);
    -- Row estimates in EXPLAIN come from statistics over all organizations.
    execute format(
      'alter table warehouse.%I alter column organization_id set statistics 0', tenant_table
    );
  end loop;
end
$$;
-- A histogram of what customers wrote can be read through those estimates, guess by guess: the
-- comparison of two texts is leakproof, so the planner uses it below row security.
do $$
declare
  c record;
begin
  for c in
    select a.attrelid::regclass as tenant_table, a.attname
    from pg_attribute as a
    inner join pg_class as t on t.oid = a.attrelid
    where t.relnamespace = 'warehouse'::regnamespace and t.relrowsecurity
      and a.attnum > 0 and not a.attisdropped
      and a.atttypid in ('text'::regtype, 'text[]'::regtype, 'bytea'::regtype, 'jsonb'::regtype)
      and a.attname not in ( -- words of the product's own
        'connector', 'status', 'error_code', 'evidence_type', 'subject', 'verdict', 'read_status',
        'last_attempt_status', 'last_error_code'
      )
  loop
    execute format('alter table %s alter column %I set statistics 0', c.tenant_table, c.attname);
  end loop;
end
$$;

-- ts_pipeline: the organization of the transaction's setting, and no more verbs than it needs.
create policy pipeline_reads on warehouse.organizations for select to ts_pipeline
  using (organization_id = nullif(current_setting('app.organization_id', true), ''));
create policy pipeline_adds on warehouse.organizations for insert to ts_pipeline
  with check (organization_id = nullif(current_setting('app.organization_id', true), ''));
create policy pipeline_changes on warehouse.organizations for update to ts_pipeline
  using (organization_id = nullif(current_setting('app.organization_id', true), ''));
grant select, insert on warehouse.organizations to ts_pipeline;
grant update (name, retention_days, deleted_at) on warehouse.organizations to ts_pipeline;

create policy pipeline_reads on warehouse.organization_data_keys for select to ts_pipeline
  using (organization_id = nullif(current_setting('app.organization_id', true), ''));
create policy pipeline_adds on warehouse.organization_data_keys for insert to ts_pipeline
  with check (organization_id = nullif(current_setting('app.organization_id', true), ''));
grant select, insert on warehouse.organization_data_keys to ts_pipeline;

create policy pipeline_owns on warehouse.pending_external_ids for all to ts_pipeline
  using (organization_id = nullif(current_setting('app.organization_id', true), ''));
grant select, insert, update, delete on warehouse.pending_external_ids to ts_pipeline;

create policy pipeline_reads on warehouse.connections for select to ts_pipeline
  using (organization_id = nullif(current_setting('app.organization_id', true), ''));
create policy pipeline_adds on warehouse.connections for insert to ts_pipeline
  with check (organization_id = nullif(current_setting('app.organization_id', true), ''));
create policy pipeline_changes on warehouse.connections for update to ts_pipeline
  using (organization_id = nullif(current_setting('app.organization_id', true), ''));
grant select, insert on warehouse.connections to ts_pipeline;
grant update (
  role_arn, status, credential_blob, key_version, stale_after_hours, waived_regions,
  waived_region_reasons, failed_attempts, next_attempt_at, deleted_at
) on warehouse.connections to ts_pipeline;

create policy pipeline_reads on warehouse.connector_runs for select to ts_pipeline
  using (organization_id = nullif(current_setting('app.organization_id', true), ''));
create policy pipeline_adds on warehouse.connector_runs for insert to ts_pipeline
  with check (organization_id = nullif(current_setting('app.organization_id', true), ''));
create policy pipeline_changes on warehouse.connector_runs for update to ts_pipeline
  using (organization_id = nullif(current_setting('app.organization_id', true), ''));
-- Column lists leave the clock columns out: the database's clock decides, nothing is backdated.
grant select on warehouse.connector_runs to ts_pipeline;
grant insert (organization_id, run_id, connection_id, partition_day, dagster_run_id, worker)
  on warehouse.connector_runs to ts_pipeline;
grant update (status, error_code, api_calls, throttles, finished_at)
  on warehouse.connector_runs to ts_pipeline;

create policy pipeline_reads on warehouse.evidence for select to ts_pipeline
  using (organization_id = nullif(current_setting('app.organization_id', true), ''));
create policy pipeline_adds on warehouse.evidence for insert to ts_pipeline
  with check (organization_id = nullif(current_setting('app.organization_id', true), ''));
grant select on warehouse.evidence to ts_pipeline;
grant insert (
  organization_id, evidence_id, connection_id, account_id, evidence_type, subject, verdict,
  fingerprint, payload, payload_canonical, schema_version, first_run_id
) on warehouse.evidence to ts_pipeline;

create policy pipeline_reads on warehouse.evidence_observations for select to ts_pipeline
  using (organization_id = nullif(current_setting('app.organization_id', true), ''));
create policy pipeline_adds on warehouse.evidence_observations for insert to ts_pipeline
  with check (organization_id = nullif(current_setting('app.organization_id', true), ''));
grant select on warehouse.evidence_observations to ts_pipeline;
grant insert (
  organization_id, run_id, connection_id, evidence_type, read_status, evidence_id, error_code,
  regions_unread, source_generated_at
) on warehouse.evidence_observations to ts_pipeline;

create policy pipeline_reads on warehouse.evidence_state for select to ts_pipeline
  using (organization_id = nullif(current_setting('app.organization_id', true), ''));
create policy pipeline_adds on warehouse.evidence_state for insert to ts_pipeline
  with check (organization_id = nullif(current_setting('app.organization_id', true), ''));
create policy pipeline_changes on warehouse.evidence_state for update to ts_pipeline
  using (organization_id = nullif(current_setting('app.organization_id', true), ''));
grant select, insert on warehouse.evidence_state to ts_pipeline;
grant update (
  evidence_id, verdict, fingerprint, last_ok_at, last_attempt_at, last_attempt_status,
  last_error_code
) on warehouse.evidence_state to ts_pipeline;

-- The owner, inside its definer functions: ids of the living, and claims.
create policy owner_lists on warehouse.organizations for select to ts_owner using (true);
create policy owner_lists on warehouse.connections for select to ts_owner using (true);
create policy owner_claims on warehouse.identity_claims for all to ts_owner using (true);

-- ts_transform (dbt): reads all organizations, writes none, and can't read a credential.
create policy transform_reads on warehouse.organizations for select to ts_transform using (true);
create policy transform_reads on warehouse.connections for select to ts_transform using (true);
create policy transform_reads on warehouse.connector_runs for select to ts_transform using (true);
create policy transform_reads on warehouse.evidence for select to ts_transform using (true);
create policy transform_reads on warehouse.evidence_observations for select to ts_transform
  using (true);
create policy transform_reads on warehouse.evidence_state for select to ts_transform using (true);
grant select on
  warehouse.organizations, warehouse.connector_runs, warehouse.evidence,
  warehouse.evidence_observations, warehouse.evidence_state
to ts_transform;
grant select (
  organization_id, connection_id, connector, account_id, role_arn, status, stale_after_hours,
  waived_regions, waived_region_reasons, failed_attempts, next_attempt_at, connected_at, deleted_at
) on warehouse.connections to ts_transform;
