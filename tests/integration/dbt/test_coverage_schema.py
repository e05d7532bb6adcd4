"""What BI tools see of schema ``coverage``: names, types' comments, owners, reader's rights."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.integration

# The contract: adding a column is free, renaming or dropping one breaks dashboards.
MARTS = {
    "evidence_freshness": """organization_id connection_id account_id connector evidence_type
        evidence_status is_fresh last_ok_at stale_at age_hours last_attempt_at last_attempt_status
        last_error_code fingerprint""",
    "control_coverage": """organization_id framework framework_version control_id control_title
        control_status is_covered evidence_required evidence_fresh evidence_failing evidence_stale
        evidence_missing oldest_evidence_at next_stale_at computed_at""",
    "framework_coverage": """organization_id framework framework_version controls_total
        controls_applicable controls_covered controls_passing covered_pct passing_pct
        next_stale_at""",
    "organization_coverage": """organization_id organization_name connections_live
        evidence_required evidence_fresh evidence_stale evidence_missing evidence_failing
        covered_pct passing_pct last_ok_at next_stale_at""",
    "mfa_coverage": """organization_id connection_id account_id root_mfa users_with_password
        users_with_mfa mfa_pct report_generated_at is_fresh last_ok_at""",
    "mfa_gaps": "organization_id connection_id account_id user_name observed_at",
    "guardduty_findings": """organization_id connection_id account_id region finding_id
        finding_type severity severity_label first_seen_at is_fresh last_ok_at""",
    "connector_health": """organization_id connection_id account_id connector status last_run_at
        last_run_status last_ok_at consecutive_failures last_error_code is_stale""",
    "coverage_daily": """as_of_date organization_id framework control_id control_status is_covered
        evidence_required evidence_fresh""",
}


@pytest.mark.parametrize("mart", MARTS)
def test_mart_has_the_columns_of_the_contract(admin, mart):
    found = admin.execute(
        "select column_name, data_type from information_schema.columns"
        " where table_schema = 'coverage' and table_name = %s order by ordinal_position",
        (mart,),
    ).fetchall()
    assert [column["column_name"] for column in found] == MARTS[mart].split()
    for column in found:
        assert column["data_type"] not in {"json", "jsonb", "timestamp without time zone"}


def test_every_relation_and_column_has_a_comment(admin):
    """BI tools show the comments beside the names."""
    silent = admin.execute("""
        select c.relname, coalesce(a.attname, '(itself)') as column_name
        from pg_class as c
        cross join lateral (
          select 0 as attnum, null::name as attname
          union all
          select attnum, attname from pg_attribute where attrelid = c.oid and attnum > 0
            and not attisdropped
        ) as a
        where c.relnamespace = 'coverage'::regnamespace and c.relkind in ('r', 'v')
          and coalesce(
            case a.attnum when 0 then obj_description(c.oid, 'pg_class')
            else col_description(c.oid, a.attnum) end, '') = ''
    """).fetchall()
    assert silent == []


def test_every_view_runs_with_the_rights_of_its_reader(admin):
    """An ordinary view runs as its owner and would show all organizations to everyone."""
    views = admin.execute(
        "select relname, relowner::regrole::text as owner,"
        " coalesce('security_invoker=true' = any(reloptions), false) as is_reader_s"
        " from pg_class where relnamespace = 'coverage'::regnamespace and relkind = 'v'"
    ).fetchall()
    assert len(views) > len(MARTS)
    assert [view for view in views if not view["is_reader_s"]] == []
    assert {view["owner"] for view in views} == {"ts_transform"}


def test_tables_of_organizations_have_forced_row_security(admin):
    tables = admin.execute("""
        select c.relname, c.relrowsecurity and c.relforcerowsecurity as is_walled
        from pg_class as c
        join pg_attribute as a on a.attrelid = c.oid and a.attname = 'organization_id'
        where c.relnamespace = 'coverage'::regnamespace and c.relkind in ('r', 'm')
    """).fetchall()
    assert tables == [{"relname": "coverage_daily", "is_walled": True}]


def test_readers_may_select_everything_and_change_nothing(admin):
    grants = admin.execute("""
        select c.relname, r.rolname, p.privilege,
          has_table_privilege(r.rolname, c.oid, p.privilege) as is_granted
        from pg_class as c
        cross join (values ('ts_bi'), ('ts_pipeline'), ('ts_auditor'), ('ts_backup')) as r (rolname)
        cross join (values ('select'), ('insert'), ('update'), ('delete'), ('truncate'))
          as p (privilege)
        where c.relnamespace = 'coverage'::regnamespace and c.relkind in ('r', 'v')
    """).fetchall()
    wrong = [grant for grant in grants if grant["is_granted"] != (grant["privilege"] == "select")]
    assert wrong == []


def test_no_view_reads_a_secret(admin):
    """The columns that readers never see are in no view, whatever asks for them later."""
    used = admin.execute(
        "select distinct column_name from information_schema.view_column_usage"
        " where view_schema = 'coverage' and table_schema = 'warehouse'"
    ).fetchall()
    assert used
    assert not {row["column_name"] for row in used} & {
        "credential_blob",
        "key_version",
        "wrapped_key",
        "keyed_digest",
    }
