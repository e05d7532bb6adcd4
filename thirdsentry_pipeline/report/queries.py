"""The statements of a snapshot; row-level security narrows each to the scope's organization."""

from sqlalchemy import text

ROWS_SHOWN = 500
"""Findings and users without MFA that a report lists; the exports hold all of them."""

DAYS_SHOWN = 90

MOMENT = text("select statement_timestamp()")
AGED_SINCE = text("""
    select exists (
      select from coverage.evidence_freshness
      where stale_at between :moment and statement_timestamp()
    )
""")
TOTALS = text("""
    select organization_name, connections_live, evidence_required, evidence_fresh,
           evidence_stale, evidence_missing, evidence_failing, covered_pct, passing_pct,
           last_ok_at, next_stale_at
    from coverage.organization_coverage
""")
FRAMEWORKS = text("""
    select mart.framework, mart.framework_version, seed.framework_name, seed.publisher,
           mart.controls_total, mart.controls_applicable, mart.controls_covered,
           mart.controls_passing, mart.covered_pct, mart.passing_pct
    from coverage.framework_coverage mart
    join coverage.frameworks seed using (framework, framework_version)
    order by seed.display_order, mart.framework
""")
CONTROLS = text("""
    select mart.framework, mart.framework_version, mart.control_id, mart.control_title,
           mart.control_status, mart.is_covered, mart.evidence_required, mart.evidence_fresh,
           mart.oldest_evidence_at, mart.next_stale_at,
           array(
             select map.evidence_type from coverage.control_evidence_map map
             where map.framework = mart.framework
               and map.framework_version = mart.framework_version
               and map.control_id = mart.control_id
             order by map.evidence_type
           ) as evidence_types
    from coverage.control_coverage mart
    join coverage.frameworks seed using (framework, framework_version)
    order by seed.display_order, mart.control_id collate "C"
""")
EVIDENCE = text("""
    select mart.connection_id, mart.account_id, mart.evidence_type, kind.evidence_title,
           mart.evidence_status, mart.is_fresh, mart.last_ok_at, mart.stale_at,
           mart.last_attempt_at, mart.last_attempt_status, mart.last_error_code,
           mart.fingerprint, fact.evidence_id, fact.verdict,
           fact.payload - 'findings' as payload, fact.first_observed_at,
           fact.fingerprint
             = 'fp1:' || encode(sha256(convert_to(fact.payload_canonical, 'UTF8')), 'hex')
             as is_recomputed,
           good.run_id, good.observed_at, good.source_generated_at, good.regions_unread
    from coverage.evidence_freshness mart
    join coverage.evidence_types kind using (evidence_type)
    left join warehouse.evidence_state state
      on state.organization_id = mart.organization_id
     and state.connection_id = mart.connection_id
     and state.evidence_type = mart.evidence_type
    left join warehouse.evidence fact
      on fact.organization_id = state.organization_id
     and fact.evidence_id = state.evidence_id
    left join lateral (
      select observation.run_id, observation.observed_at, observation.source_generated_at,
             observation.regions_unread
      from warehouse.evidence_observations observation
      where observation.organization_id = state.organization_id
        and observation.connection_id = state.connection_id
        and observation.evidence_type = state.evidence_type
        and observation.evidence_id = state.evidence_id
      order by observation.observed_at desc
      limit 1
    ) good on true
    order by mart.account_id, mart.connection_id, mart.evidence_type
""")
HISTORY = text("""
    select as_of_date,
           count(*) filter (where control_status <> 'not_applicable') as controls_applicable,
           count(*) filter (where is_covered and control_status <> 'not_applicable')
             as controls_covered,
           count(*) filter (where control_status = 'passing') as controls_passing
    from coverage.coverage_daily
    where as_of_date > (select max(as_of_date) from coverage.coverage_daily) - :days
    group by as_of_date
    order by as_of_date
""")
MFA_ACCOUNTS = text("""
    select connection_id, account_id, root_mfa, users_with_password, users_with_mfa, mfa_pct,
           report_generated_at, is_fresh, last_ok_at
    from coverage.mfa_coverage
    order by account_id, connection_id
""")
MFA_GAPS = text("""
    select account_id, user_name, observed_at
    from coverage.mfa_gaps
    order by account_id, user_name collate "C"
    limit :rows
""")
FINDINGS = text("""
    select account_id, region, finding_id, finding_type, severity, severity_label,
           first_seen_at, is_fresh, last_ok_at
    from coverage.guardduty_findings
    order by severity desc, account_id, region, finding_id
    limit :rows
""")
CONNECTIONS = text("""
    select mart.connection_id, mart.account_id, mart.connector, source.role_arn, mart.status,
           source.connected_at, source.deleted_at, source.waived_region_reasons,
           mart.last_run_at, mart.last_run_status, mart.last_ok_at, mart.consecutive_failures,
           mart.last_error_code, mart.is_stale
    from coverage.connector_health mart
    join warehouse.connections source using (organization_id, connection_id)
    order by mart.status = 'revoked', mart.account_id, source.connected_at, mart.connection_id
""")
RUNS = text("""
    select run.run_id, run.connection_id, source.account_id, run.dagster_run_id, run.status,
           run.error_code, run.api_calls, run.started_at, run.finished_at
    from warehouse.connector_runs run
    join warehouse.connections source using (organization_id, connection_id)
    where run.run_id = any(cast(:used as uuid[]))
       or run.run_id in (
         select distinct on (newest.connection_id) newest.run_id
         from warehouse.connector_runs newest
         join coverage.evidence_freshness live
           on live.organization_id = newest.organization_id
          and live.connection_id = newest.connection_id
         order by newest.connection_id, newest.started_at desc
       )
    order by run.started_at desc, run.run_id
""")
HEAD_TIME = text("select occurred_at from warehouse.audit_log where seq = :seq")
