"""Rows of the coverage marts, read by the pipeline's login inside one organization's scope."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, TextClause, text

from thirdsentry_pipeline.cli.reasons import Finding, explain

HEALTH = text("""
    select organization_id, connection_id, account_id, connector, status, last_run_at,
           last_run_status, last_ok_at, consecutive_failures, last_error_code, is_stale
    from coverage.connector_health
    order by organization_id, account_id, connection_id
""")
FRESHNESS = text("""
    select organization_id, connection_id, account_id, connector, evidence_type, evidence_status,
           is_fresh, last_ok_at, stale_at, age_hours, last_attempt_at, last_attempt_status,
           last_error_code, fingerprint
    from coverage.evidence_freshness
    where cast(:evidence_type as text) is null or evidence_type = :evidence_type
    order by account_id, connection_id, evidence_type
""")
# The mart counts what lives; what a revoked connection proved stays readable here.
REVOKED_EVIDENCE = text("""
    select state.organization_id, state.connection_id, connection.account_id,
           connection.connector, state.evidence_type, 'revoked' as evidence_status,
           false as is_fresh, state.last_ok_at, cast(null as timestamptz) as stale_at,
           round(extract(epoch from clock_timestamp() - state.last_ok_at) / 3600, 2) as age_hours,
           state.last_attempt_at, state.last_attempt_status, state.last_error_code,
           state.fingerprint
    from warehouse.evidence_state state
    join warehouse.connections connection
      on connection.organization_id = state.organization_id
     and connection.connection_id = state.connection_id
    where connection.deleted_at is not null
      and (cast(:evidence_type as text) is null or state.evidence_type = :evidence_type)
    order by connection.account_id, state.connection_id, state.evidence_type
""")
CONTROLS = text("""
    select control.organization_id, control.framework, control.framework_version,
           control.control_id, control.control_title, control.control_status, control.is_covered,
           control.evidence_required, control.evidence_fresh, control.evidence_failing,
           control.evidence_stale, control.evidence_missing, control.oldest_evidence_at,
           control.next_stale_at, control.computed_at
    from coverage.control_coverage control
    join coverage.frameworks framework
      on framework.framework = control.framework
     and framework.framework_version = control.framework_version
    where cast(:framework as text) is null or control.framework = :framework
    order by framework.display_order, control.control_id collate "C"
""")
FRAMEWORKS = text("""
    select mart.framework, mart.framework_version, seed.framework_name, mart.controls_total,
           mart.controls_applicable, mart.controls_covered, mart.controls_passing,
           mart.covered_pct, mart.passing_pct, mart.next_stale_at
    from coverage.framework_coverage mart
    join coverage.frameworks seed
      on seed.framework = mart.framework and seed.framework_version = mart.framework_version
    order by seed.display_order
""")
KNOWN_FRAMEWORKS = text("select framework from coverage.frameworks order by display_order")
REQUIREMENTS = text("""
    select framework, framework_version, control_id, evidence_type
    from coverage.control_evidence_map
    order by evidence_type
""")
FINDINGS = text("""
    select freshness.evidence_type, freshness.account_id, freshness.evidence_status,
           freshness.last_error_code, freshness.last_ok_at, evidence.payload
    from coverage.evidence_freshness freshness
    left join warehouse.evidence evidence
      on evidence.organization_id = freshness.organization_id
     and evidence.fingerprint = freshness.fingerprint
    order by freshness.evidence_type, freshness.account_id
""")

Row = dict[str, Any]


def rows_of(connection: Connection, query: TextClause, **parameters: Any) -> list[Row]:
    """All rows of one query as plain dictionaries."""
    return [dict(row) for row in connection.execute(query, parameters).mappings()]


def known_frameworks(connection: Connection) -> list[str]:
    """The frameworks' names as the marts spell them."""
    return list(connection.scalars(KNOWN_FRAMEWORKS))


def control_rows(connection: Connection, framework: str | None = None) -> list[Row]:
    """Rows of ``control_coverage`` with ``reason``: why a control is not passing, else None."""
    findings = [Finding(**row) for row in rows_of(connection, FINDINGS)]
    required = requirements(connection)
    rows = rows_of(connection, CONTROLS, framework=framework)
    for row in rows:
        wanted = required.get((row["framework"], row["framework_version"], row["control_id"]), ())
        row["reason"] = (
            None if row["control_status"] == "passing" else why(findings, wanted) or "no connection"
        )
    return rows


def requirements(connection: Connection) -> Mapping[tuple[str, str, str], Sequence[str]]:
    """The evidence types that each (framework, version, control) needs."""
    needs: dict[tuple[str, str, str], list[str]] = {}
    for row in rows_of(connection, REQUIREMENTS):
        key = (row["framework"], row["framework_version"], row["control_id"])
        needs.setdefault(key, []).append(row["evidence_type"])
    return needs


def why(findings: Sequence[Finding], wanted: Sequence[str]) -> str:
    """What keeps a control from passing: the worst first, each account named once."""
    lacking = [one for one in findings if one.evidence_type in wanted and not one.is_passing]
    lacking.sort(key=lambda one: one.severity)
    by_account: dict[str, list[str]] = {}
    for finding in lacking:
        by_account.setdefault(finding.account_id, []).append(explain(finding))
    return "; ".join(f"{account}: {', '.join(texts)}" for account, texts in by_account.items())
