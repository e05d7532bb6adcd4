-- The writer's first call: a forgotten scope is an error and not an empty result.
create function warehouse.require_organization() returns text
language plpgsql stable
set search_path = warehouse, pg_catalog, pg_temp
as $$
declare
  organization_id text := nullif(current_setting('app.organization_id', true), '');
begin
  if organization_id is null or organization_id !~ '^[0-9a-f]{24}$' then
    raise exception 'no organization is set: open an organization scope first'
      using errcode = 'insufficient_privilege';
  end if;
  return organization_id;
end
$$;

create table warehouse.organizations (
  organization_id text primary key default warehouse.require_organization()
    check (organization_id ~ '^[0-9a-f]{24}$'),
  name text not null check (length(name) between 1 and 200),
  retention_days integer not null default 2557 check (retention_days >= 30), -- seven years
  created_at timestamptz not null default clock_timestamp(),
  deleted_at timestamptz
);

create table warehouse.organization_data_keys (
  organization_id text not null default warehouse.require_organization()
    references warehouse.organizations,
  key_version integer not null check (key_version >= 1),
  kms_key_id text not null,
  wrapped_key bytea not null,
  created_at timestamptz not null default clock_timestamp(),
  primary key (organization_id, key_version)
);

create table warehouse.pending_external_ids (
  organization_id text primary key default warehouse.require_organization()
    references warehouse.organizations,
  credential_blob bytea not null,
  key_version integer not null,
  created_at timestamptz not null default clock_timestamp(),
  foreign key (organization_id, key_version) references warehouse.organization_data_keys
);

create table warehouse.connections (
  organization_id text not null default warehouse.require_organization()
    references warehouse.organizations,
  connection_id uuid not null,
  connector text not null default 'aws' check (connector in ('aws')),
  account_id text not null check (account_id ~ '^[0-9]{12}$'),
  role_arn text not null check (role_arn ~ '^arn:aws[a-z-]*:iam::[0-9]{12}:role/'),
  status text not null default 'active' check (status in ('active', 'needs_reauth', 'revoked')),
  credential_blob bytea,
  key_version integer,
  stale_after_hours integer check (stale_after_hours between 1 and 48),
  waived_regions text[] not null default '{}',
  waived_region_reasons jsonb not null default '{}'
    check (jsonb_typeof(waived_region_reasons) = 'object'),
  failed_attempts integer not null default 0 check (failed_attempts >= 0),
  next_attempt_at timestamptz,
  connected_at timestamptz not null default clock_timestamp(),
  deleted_at timestamptz,
  primary key (organization_id, connection_id),
  unique (organization_id, connection_id, account_id),
  foreign key (organization_id, key_version) references warehouse.organization_data_keys,
  constraint connections_role_is_in_account check (split_part(role_arn, ':', 5) = account_id),
  constraint connections_revoked_is_deleted check ((status = 'revoked') = (deleted_at is not null)),
  constraint connections_revoked_holds_no_secret
    check ((deleted_at is null) = (credential_blob is not null)),
  constraint connections_secret_names_its_key
    check ((credential_blob is null) = (key_version is null))
);
create unique index connections_one_live_per_account
  on warehouse.connections (organization_id, connector, account_id) where deleted_at is null;

create table warehouse.connector_runs (
  organization_id text not null default warehouse.require_organization()
    references warehouse.organizations,
  run_id uuid not null,
  connection_id uuid not null,
  partition_day date not null,
  dagster_run_id text not null,
  worker text not null default '',
  status text not null default 'running'
    check (status in ('running', 'succeeded', 'partial', 'failed', 'abandoned')),
  error_code text check (error_code in (
    'denied', 'denied_by_scp', 'throttled', 'not_ready', 'transient', 'malformed', 'bug',
    'assume_role_denied', 'account_mismatch', 'key_unavailable', 'revoked_during_run',
    'no_live_connection'
  )),
  api_calls integer not null default 0 check (api_calls >= 0),
  throttles integer not null default 0 check (throttles >= 0),
  started_at timestamptz not null default clock_timestamp(),
  finished_at timestamptz,
  primary key (organization_id, run_id),
  unique (organization_id, run_id, connection_id),
  foreign key (organization_id, connection_id) references warehouse.connections,
  constraint connector_runs_ended_has_time check ((status = 'running') = (finished_at is null))
);
create index connector_runs_by_connection
  on warehouse.connector_runs (organization_id, connection_id, started_at desc);
create index connector_runs_by_dagster_run
  on warehouse.connector_runs (organization_id, dagster_run_id);
create index connector_runs_running
  on warehouse.connector_runs (organization_id, connection_id) where status = 'running';

create table warehouse.evidence (
  organization_id text not null default warehouse.require_organization()
    references warehouse.organizations,
  evidence_id uuid not null default gen_random_uuid(),
  connection_id uuid not null,
  account_id text not null,
  evidence_type text not null check (evidence_type ~ '^[a-z0-9]+(\.[a-z0-9_]+)+$'),
  subject text not null check (subject <> ''),
  verdict text not null check (verdict in ('pass', 'fail', 'not_applicable')),
  fingerprint text not null check (fingerprint ~ '^fp[0-9]+:[0-9a-f]{64}$'),
  payload jsonb not null check (jsonb_typeof(payload) = 'object'),
  payload_canonical text not null,
  schema_version integer not null check (schema_version >= 1),
  first_run_id uuid not null,
  first_observed_at timestamptz not null default clock_timestamp(),
  primary key (organization_id, evidence_id),
  unique (organization_id, fingerprint),
  unique (organization_id, evidence_id, evidence_type),
  foreign key (organization_id, connection_id, account_id)
    references warehouse.connections (organization_id, connection_id, account_id),
  foreign key (organization_id, first_run_id, connection_id)
    references warehouse.connector_runs (organization_id, run_id, connection_id),
  constraint evidence_fingerprint_is_of_the_canonical_payload check (
    split_part(fingerprint, ':', 2)
    = encode(sha256(convert_to(payload_canonical, 'UTF8')), 'hex')
  )
);
create index evidence_by_connection
  on warehouse.evidence (organization_id, connection_id, evidence_type, first_observed_at);

create table warehouse.evidence_observations (
  organization_id text not null default warehouse.require_organization()
    references warehouse.organizations,
  run_id uuid not null,
  connection_id uuid not null,
  evidence_type text not null check (evidence_type ~ '^[a-z0-9]+(\.[a-z0-9_]+)+$'),
  read_status text not null check (read_status in ('ok', 'partial', 'denied', 'error')),
  evidence_id uuid,
  error_code text check (error_code in (
    'denied', 'denied_by_scp', 'throttled', 'not_ready', 'transient', 'malformed', 'bug'
  )),
  regions_unread text[] not null default '{}',
  source_generated_at timestamptz,
  observed_at timestamptz not null default clock_timestamp(),
  primary key (organization_id, run_id, connection_id, evidence_type),
  foreign key (organization_id, run_id, connection_id)
    references warehouse.connector_runs (organization_id, run_id, connection_id),
  foreign key (organization_id, connection_id) references warehouse.connections,
  foreign key (organization_id, evidence_id, evidence_type)
    references warehouse.evidence (organization_id, evidence_id, evidence_type),
  constraint evidence_observations_only_ok_has_evidence
    check ((read_status = 'ok') = (evidence_id is not null)),
  constraint evidence_observations_failure_has_a_code
    check (read_status = 'ok' or error_code is not null)
);
create index evidence_observations_by_time on warehouse.evidence_observations
  (organization_id, connection_id, evidence_type, observed_at desc);
create index evidence_observations_by_evidence on warehouse.evidence_observations
  (organization_id, evidence_id) where evidence_id is not null;

-- A projection of the observations: the latest attempt and the latest good one.
create table warehouse.evidence_state (
  organization_id text not null default warehouse.require_organization()
    references warehouse.organizations,
  connection_id uuid not null,
  evidence_type text not null,
  evidence_id uuid,
  verdict text check (verdict in ('pass', 'fail', 'not_applicable')),
  fingerprint text,
  last_ok_at timestamptz,
  last_attempt_at timestamptz not null,
  last_attempt_status text not null
    check (last_attempt_status in ('ok', 'partial', 'denied', 'error')),
  last_error_code text,
  primary key (organization_id, connection_id, evidence_type),
  foreign key (organization_id, connection_id) references warehouse.connections,
  foreign key (organization_id, evidence_id, evidence_type)
    references warehouse.evidence (organization_id, evidence_id, evidence_type),
  constraint evidence_state_good_is_whole check (
    num_nulls(evidence_id, verdict, fingerprint, last_ok_at) in (0, 4)
  )
) with (fillfactor = 80);

-- Which organization a role ARN or an external id belongs to, as a keyed digest. No role but the
-- owner reads either table; the key keeps a dump of the claims from being tested against guesses.
create table warehouse.identity_secret (
  only_row boolean primary key default true check (only_row),
  secret bytea not null check (octet_length(secret) = 32)
);
insert into warehouse.identity_secret (secret) values (sha256(
  uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())
  || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())
));
create table warehouse.identity_claims (
  organization_id text not null references warehouse.organizations,
  kind text not null check (kind in ('role_arn', 'external_id')),
  keyed_digest bytea not null,
  claimed_at timestamptz not null default clock_timestamp(),
  primary key (organization_id, kind, keyed_digest),
  -- Global on purpose: this is what refuses another organization's role. No tenant role can
  -- reach it except through claim_identity, whose yes or no is the contract.
  constraint identity_claims_one_organization unique (kind, keyed_digest)
);
