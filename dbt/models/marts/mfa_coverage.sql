with users as (
  select
    reads.*,
    (evidence.payload ->> 'users_with_password')::integer as users_with_password,
    (evidence.payload ->> 'users_with_mfa')::integer as users_with_mfa
  from {{ ref('int_evidence_reads') }} as reads
  left join {{ ref('stg_warehouse__evidence') }} as evidence
    on
      reads.organization_id = evidence.organization_id
      and reads.evidence_id = evidence.evidence_id
  where reads.evidence_type = 'aws.iam.mfa_coverage'
),

root_user as (
  select *
  from {{ ref('int_evidence_reads') }}
  where evidence_type = 'aws.iam.root_mfa'
)

select
  users.organization_id,
  users.connection_id,
  users.account_id,
  root_user.verdict as root_mfa,
  users.users_with_password,
  users.users_with_mfa,
  {{ percent('users.users_with_mfa', 'users.users_with_password') }} as mfa_pct,
  report.source_generated_at as report_generated_at,
  users.verdict is not null
  and root_user.verdict is not null
  and {{ as_of() }} <= least(users.stale_at, root_user.stale_at) as is_fresh,
  least(users.last_ok_at, root_user.last_ok_at) as last_ok_at
from users
inner join root_user
  on
    users.organization_id = root_user.organization_id
    and users.connection_id = root_user.connection_id
-- The evidence row keeps the first report that showed this state; the newest is observed.
left join {{ newest_observation(
  ref('stg_warehouse__evidence_observations'), 'users', ['source_generated_at'],
  ["read_status = 'ok'"]
) }} as report on true
