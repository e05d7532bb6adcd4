select
  reads.organization_id,
  reads.connection_id,
  reads.account_id,
  findings.region,
  findings.finding_id,
  findings.finding_type,
  findings.severity,
  case when findings.severity >= 9 then 'critical' else 'high' end as severity_label,
  findings.first_seen_at,
  {{ as_of() }} <= reads.stale_at as is_fresh,
  reads.last_ok_at
from {{ ref('int_evidence_reads') }} as reads
inner join {{ ref('stg_warehouse__evidence') }} as evidence
  on
    reads.organization_id = evidence.organization_id
    and reads.evidence_id = evidence.evidence_id
cross join lateral jsonb_to_recordset(evidence.payload -> 'findings') as findings (
  region text,
  finding_id text,
  finding_type text,
  severity numeric(3, 1),
  first_seen_at timestamptz
)
where reads.evidence_type = 'aws.guardduty.high_severity_findings'
