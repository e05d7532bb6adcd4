-- ts_checker: reads all organizations, writes none, and can't read a credential, a wrapped key,
-- a pending id or a claim.
grant usage on schema warehouse to ts_checker;
create policy checker_reads on warehouse.organizations for select to ts_checker using (true);
create policy checker_reads on warehouse.connections for select to ts_checker using (true);
create policy checker_reads on warehouse.connector_runs for select to ts_checker using (true);
create policy checker_reads on warehouse.evidence for select to ts_checker using (true);
create policy checker_reads on warehouse.evidence_observations for select to ts_checker
  using (true);
create policy checker_reads on warehouse.evidence_state for select to ts_checker using (true);
create policy checker_reads on warehouse.audit_log for select to ts_checker using (true);
create policy checker_reads on warehouse.alerts for select to ts_checker using (true);
create policy checker_reads on warehouse.assessments for select to ts_checker using (true);
create policy checker_reads on warehouse.assessment_evidence for select to ts_checker using (true);
grant select on
  warehouse.organizations, warehouse.connector_runs, warehouse.evidence,
  warehouse.evidence_observations, warehouse.evidence_state, warehouse.audit_log,
  warehouse.alerts, warehouse.assessments, warehouse.assessment_evidence
to ts_checker;
-- A secret names its key (a constraint holds it), so the key's version tells whether one is left.
grant select (
  organization_id, connection_id, connector, account_id, status, key_version, connected_at,
  deleted_at
) on warehouse.connections to ts_checker;
