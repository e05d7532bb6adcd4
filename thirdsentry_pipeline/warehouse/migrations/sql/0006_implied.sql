-- References that another reference implies: every connection has an organization, every run a
-- connection, none of them is ever deleted from under a row that names it, and no column of these
-- keys is ever empty. Asking again cost six microseconds for each row and reference.
alter table warehouse.evidence
  drop constraint evidence_organization_id_fkey;
alter table warehouse.evidence_observations
  drop constraint evidence_observations_organization_id_fkey,
  drop constraint evidence_observations_organization_id_connection_id_fkey;
alter table warehouse.evidence_state
  drop constraint evidence_state_organization_id_fkey;
-- Nothing asks for evidence by its connection: what is current is in evidence_state, what was is in
-- the observations. It was the dearest of four indexes.
drop index warehouse.evidence_by_connection;
