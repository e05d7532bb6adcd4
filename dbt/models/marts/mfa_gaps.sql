select
  reads.organization_id,
  reads.connection_id,
  reads.account_id,
  users.user_name,
  reads.last_ok_at as observed_at
from {{ ref('int_evidence_reads') }} as reads
inner join {{ ref('stg_warehouse__evidence') }} as evidence
  on
    reads.organization_id = evidence.organization_id
    and reads.evidence_id = evidence.evidence_id
cross join lateral jsonb_array_elements_text(
  evidence.payload -> 'users_without_mfa'
) as users (user_name)
where reads.evidence_type = 'aws.iam.mfa_coverage'
