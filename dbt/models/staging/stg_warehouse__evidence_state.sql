{# Every evidence asset writes this table; naming all of them draws the lineage. -#}
-- depends_on: {{ source('aws', 'iam_root_mfa') }}
-- depends_on: {{ source('aws', 'iam_mfa_coverage') }}
-- depends_on: {{ source('aws', 'iam_password_policy') }}
-- depends_on: {{ source('aws', 'cloudtrail_multi_region_logging') }}
-- depends_on: {{ source('aws', 's3_account_public_access_block') }}
-- depends_on: {{ source('aws', 'guardduty_status') }}
-- depends_on: {{ source('aws', 'guardduty_high_severity_findings') }}
select
  organization_id,
  connection_id,
  evidence_type,
  evidence_id,
  verdict,
  fingerprint,
  last_ok_at,
  last_attempt_at,
  last_attempt_status,
  last_error_code
from {{ source('warehouse', 'evidence_state') }}
