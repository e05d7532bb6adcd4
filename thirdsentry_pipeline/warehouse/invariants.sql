-- I1 Observations come only from runs that ended, and a run's status is what its observations say
select r.organization_id, format('run %s', r.run_id) as subject
from warehouse.connector_runs as r
inner join warehouse.organizations as org on org.organization_id = r.organization_id
left join lateral (
  select
    count(*) as seen,
    count(*) filter (where o.read_status = 'ok') as proven
  from warehouse.evidence_observations as o
  where o.organization_id = r.organization_id and o.run_id = r.run_id
) as o on true
where
  (r.status in ('running', 'abandoned') and o.seen > 0)
  or (r.status = 'failed' and o.proven > 0)
  -- Retention takes observations before the runs they name.
  or (
    r.status in ('succeeded', 'partial')
    and r.finished_at > clock_timestamp() - make_interval(hours => 24 * org.retention_days)
    and (o.proven = 0 or (r.status = 'succeeded') <> (o.seen = o.proven))
  )
union all
select o.organization_id, format('observation of the missing run %s', o.run_id)
from warehouse.evidence_observations as o
where not exists (
  select from warehouse.connector_runs as r
  where r.organization_id = o.organization_id and r.run_id = o.run_id
);

-- I2 The state of evidence is what its observations make it, and its steps follow from it
with good as (
  select distinct on (o.organization_id, o.connection_id, o.evidence_type)
    o.organization_id, o.connection_id, o.evidence_type, e.evidence_id, e.verdict, e.fingerprint,
    least(o.observed_at, o.source_generated_at) as last_ok_at
  from warehouse.evidence_observations as o
  inner join warehouse.evidence as e
    on e.organization_id = o.organization_id and e.evidence_id = o.evidence_id
  where o.read_status = 'ok'
  order by o.organization_id, o.connection_id, o.evidence_type, o.observed_at desc, o.run_id desc
),

latest as (
  select distinct on (o.organization_id, o.connection_id, o.evidence_type)
    o.organization_id, o.connection_id, o.evidence_type, o.observed_at, o.read_status, o.error_code
  from warehouse.evidence_observations as o
  order by o.organization_id, o.connection_id, o.evidence_type, o.observed_at desc, o.run_id desc
)

select
  coalesce(s.organization_id, l.organization_id),
  format(
    '%s of connection %s', coalesce(s.evidence_type, l.evidence_type),
    coalesce(s.connection_id, l.connection_id)
  ) as subject
from latest as l
left join good as g using (organization_id, connection_id, evidence_type)
full join warehouse.evidence_state as s using (organization_id, connection_id, evidence_type)
where
  (s.evidence_id, s.verdict, s.fingerprint, s.last_ok_at, s.last_attempt_at,
    s.last_attempt_status, s.last_error_code)
  is distinct from
  (g.evidence_id, g.verdict, g.fingerprint, g.last_ok_at, l.observed_at, l.read_status,
    l.error_code)
union all
select k.organization_id, format('steps of connection %s', k.connection_id)
from warehouse.connections as k
cross join lateral warehouse.steps_of(k.organization_id, k.connection_id) as told
left join warehouse.evidence_steps as kept
  on kept.organization_id = k.organization_id and kept.connection_id = k.connection_id
where
  (coalesce(kept.true_at, '{}'), coalesce(kept.true_since, '{}'), coalesce(kept.failing, 0),
    coalesce(kept.not_passing, 0))
  is distinct from
  (told.true_at, told.true_since, told.failing, told.not_passing);

-- I3 What belongs together belongs to one organization and one account
select o.organization_id, format('observation of run %s, %s', o.run_id, o.evidence_type) as subject
from warehouse.evidence_observations as o
left join warehouse.evidence as e on e.evidence_id = o.evidence_id
left join warehouse.connections as k on k.connection_id = o.connection_id
left join warehouse.connector_runs as r on r.run_id = o.run_id
where
  o.organization_id is distinct from k.organization_id
  or o.organization_id is distinct from r.organization_id
  or o.connection_id is distinct from r.connection_id
  or (
    o.evidence_id is not null
    and (e.organization_id, e.connection_id, e.account_id, e.evidence_type)
    is distinct from (o.organization_id, o.connection_id, k.account_id, o.evidence_type)
  )
union all
select e.organization_id, format('evidence %s', e.evidence_id)
from warehouse.evidence as e
left join warehouse.connections as k on k.connection_id = e.connection_id
left join warehouse.connector_runs as r on r.run_id = e.first_run_id
where
  (e.organization_id, e.account_id) is distinct from (k.organization_id, k.account_id)
  or (e.organization_id, e.connection_id, e.account_id)
  is distinct from (r.organization_id, r.connection_id, r.account_id)
union all
select r.organization_id, format('run %s', r.run_id)
from warehouse.connector_runs as r
left join warehouse.connections as k on k.connection_id = r.connection_id
where (r.organization_id, r.account_id) is distinct from (k.organization_id, k.account_id);

-- I4 No pass and no "not applicable" without a complete read
select o.organization_id, format('%s of run %s', o.evidence_type, o.run_id) as subject
from warehouse.evidence_observations as o
inner join warehouse.evidence as e
  on e.organization_id = o.organization_id and e.evidence_id = o.evidence_id
where
  o.read_status <> 'ok'
  or (
    e.verdict in ('pass', 'not_applicable')
    -- One good trail proves its pass, whatever other regions did not answer.
    and not (e.verdict = 'pass' and e.evidence_type = 'aws.cloudtrail.multi_region_logging')
    -- Root's MFA is proven by the summary or the report, whichever answered.
    and (
      cardinality(o.regions_unread) > 0
      or (o.error_code is not null and e.evidence_type <> 'aws.iam.root_mfa')
    )
  )
union all
select e.organization_id, format('evidence %s', e.evidence_id)
from warehouse.evidence as e
where
  e.evidence_type = 'aws.guardduty.status' and e.verdict = 'pass'
  and (
    jsonb_array_length(e.payload -> 'regions') = 0
    or exists (
      select from jsonb_array_elements_text(e.payload -> 'regions_in_scope') as needed (region)
      where not exists (
        select from jsonb_array_elements(e.payload -> 'regions') as read (one)
        where read.one ->> 'region' = needed.region and read.one ->> 'state' = 'enabled'
      )
    )
  );

-- I5 One fact is one row, its fingerprint is true, and it says whose it is
select e.organization_id, format('fingerprint %s', e.fingerprint) as subject
from warehouse.evidence as e
group by e.organization_id, e.fingerprint
having count(*) > 1
union all
select e.organization_id, format('evidence %s', e.evidence_id)
from warehouse.evidence as e
cross join lateral (select e.payload_canonical::jsonb as said) as c
where
  split_part(e.fingerprint, ':', 2)
  <> encode(sha256(convert_to(e.payload_canonical, 'UTF8')), 'hex')
  or (
    e.organization_id, e.account_id, e.evidence_type, e.subject, e.verdict, e.schema_version
  ) is distinct from (
    c.said ->> 'organization_id', c.said ->> 'account_id', c.said ->> 'evidence_type',
    c.said ->> 'subject', c.said ->> 'verdict', (c.said ->> 'schema_version')::int
  );

-- I6 An ended run has one row in the audit log, and no run is under way for 45 minutes
with first_kept as (
  select distinct on (a.organization_id) a.organization_id, a.occurred_at
  from warehouse.audit_log as a
  order by a.organization_id, a.seq
)

select r.organization_id, format('run %s', r.run_id) as subject
from warehouse.connector_runs as r
left join first_kept as f on f.organization_id = r.organization_id
where
  r.status <> 'running'
  -- Retention keeps a run as long as evidence names it, and the log only so long.
  and (
    r.finished_at > f.occurred_at
    or not exists (
      select from warehouse.audit_log as a
      where a.organization_id = r.organization_id and a.action = 'retention_checkpoint'
    )
  )
  and (
    select count(*) from warehouse.audit_log as a
    where a.organization_id = r.organization_id and a.run_id = r.run_id
      and a.action = case when r.status in ('succeeded', 'partial') then 'sync' else 'sync_failed' end
  ) <> 1
union all
select a.organization_id, format('audit row %s of run %s', min(a.seq), a.run_id)
from warehouse.audit_log as a
where a.action in ('sync', 'sync_failed') and a.run_id is not null
group by a.organization_id, a.run_id
having count(*) > 1
union all
select a.organization_id, format('audit row %s of the unknown run %s', a.seq, a.run_id)
from warehouse.audit_log as a
inner join warehouse.connector_runs as r
  on r.organization_id = a.organization_id and r.run_id = a.run_id
where a.action in ('sync', 'sync_failed') and r.status = 'running'
union all
select r.organization_id, format('run %s, begun %s', r.run_id, r.started_at)
from warehouse.connector_runs as r
where r.status = 'running' and r.started_at < clock_timestamp() - interval '45 minutes';

-- I8 An episode has one alert
select a.organization_id, format('episode %s', a.episode_key) as subject
from warehouse.alerts as a
group by a.organization_id, a.episode_key
having count(*) > 1
union all
select a.organization_id, format('alert %s', a.alert_id)
from warehouse.alerts as a
where not exists (
  select from warehouse.connections as k
  where k.organization_id = a.organization_id and k.connection_id = a.connection_id
);

-- I9 A revoked connection holds no secret and gets nothing more
select k.organization_id, format('connection %s', k.connection_id) as subject
from warehouse.connections as k
where
  (k.status = 'revoked') <> (k.deleted_at is not null)
  or (
    k.deleted_at is not null
    and (
      k.key_version is not null
      or exists (
        select from warehouse.evidence_observations as o
        where o.organization_id = k.organization_id and o.connection_id = k.connection_id
          and o.observed_at > k.deleted_at
      )
      or exists (
        select from warehouse.connector_runs as r
        where r.organization_id = k.organization_id and r.connection_id = k.connection_id
          and r.started_at > k.deleted_at
      )
    )
  );

-- I10 Nothing comes from the future
select o.organization_id, format('%s of run %s', o.evidence_type, o.run_id) as subject
from warehouse.evidence_observations as o
inner join warehouse.connector_runs as r
  on r.organization_id = o.organization_id and r.run_id = o.run_id
where
  o.observed_at > clock_timestamp() or o.observed_at < r.started_at
  -- The source's clock is not ours: STS itself allows five minutes.
  or o.source_generated_at > o.observed_at + interval '5 minutes'
union all
select r.organization_id, format('run %s', r.run_id)
from warehouse.connector_runs as r
where r.started_at > clock_timestamp() or r.finished_at > clock_timestamp()
  or r.finished_at < r.started_at
union all
select s.organization_id, format('%s of connection %s', s.evidence_type, s.connection_id)
from warehouse.evidence_state as s
where s.last_ok_at > clock_timestamp() or s.last_attempt_at > clock_timestamp()
union all
select a.organization_id, format('audit row %s', a.seq)
from warehouse.audit_log as a
where a.occurred_at > clock_timestamp();

-- I12 What was approved has not changed since
select a.organization_id, format('assessment %s', a.assessment_id) as subject
from warehouse.assessments as a
where a.status = 'approved' and (
  exists (
    select from warehouse.assessment_evidence as h
    where h.organization_id = a.organization_id and h.assessment_id = a.assessment_id
      and h.attached_at > a.approved_at
  )
  or not exists (
    select from warehouse.assessment_evidence as h
    where h.organization_id = a.organization_id and h.assessment_id = a.assessment_id
  )
  or exists (
    select from warehouse.audit_log as l
    where l.organization_id = a.organization_id and l.action = 'assessment_approved'
      and l.detail ->> 'assessment_id' = a.assessment_id::text
      and (l.detail ->> 'evidence_count')::int <> (
        select count(*) from warehouse.assessment_evidence as h
        where h.organization_id = a.organization_id and h.assessment_id = a.assessment_id
      )
  )
);
