"""The twin: what a warehouse must say after healing and one retry, whatever happened before."""

from sqlalchemy import text

# Ids, times and counts of attempts differ by nature; everything a reader relies on is here.
QUERIES = {
    "evidence": """
        select organization_id, account_id, evidence_type, subject, verdict, fingerprint
        from warehouse.evidence
    """,
    "state": """
        select s.organization_id, k.account_id, s.evidence_type, s.verdict, s.fingerprint,
            s.last_attempt_status, s.last_error_code
        from warehouse.evidence_state as s
        inner join warehouse.connections as k using (organization_id, connection_id)
    """,
    "connections": """
        select organization_id, account_id, status, failed_attempts, deleted_at is null as is_live
        from warehouse.connections
    """,
    "evidence_freshness": """
        select organization_id, account_id, evidence_type, evidence_status, is_fresh,
            last_attempt_status, last_error_code, fingerprint
        from coverage.evidence_freshness
    """,
    "control_coverage": """
        select organization_id, framework, framework_version, control_id, control_status,
            is_covered, evidence_required, evidence_fresh, evidence_failing, evidence_stale,
            evidence_missing
        from coverage.control_coverage
    """,
    "framework_coverage": """
        select organization_id, framework, framework_version, controls_total, controls_applicable,
            controls_covered, controls_passing, covered_pct, passing_pct
        from coverage.framework_coverage
    """,
    "organization_coverage": """
        select organization_id, connections_live, evidence_required, evidence_fresh,
            evidence_stale, evidence_missing, evidence_failing, covered_pct, passing_pct
        from coverage.organization_coverage
    """,
    "connector_health": """
        select organization_id, account_id, status, last_run_status, consecutive_failures,
            last_error_code, is_stale
        from coverage.connector_health
    """,
}


def digest(admin):
    """Each table's rows as sorted text; two warehouses that say the same give the same."""
    with admin.connect() as connection:
        is_built = connection.scalar(text("select to_regclass('coverage.control_coverage')"))
        return {
            name: sorted(str(tuple(row)) for row in connection.execute(text(query)))
            for name, query in QUERIES.items()
            if is_built or "coverage." not in query
        }
