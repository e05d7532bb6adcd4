"""Reading what is another's: columns, views, row types, functions that tell, statistics, sessions."""

from __future__ import annotations

import pytest

from tests.integration.tenancy.attacks import Attempt, harmless, judge, refused, table_of
from tests.integration.tenancy.town import ATTACKER, Town

pytestmark = pytest.mark.integration

OWN = [(ATTACKER,)]
TELLTALE = (
    "create function pg_temp.tell(shown text) returns boolean language plpgsql cost 0.0000001"
    " as $$ begin raise notice '%', shown; return true; end $$"
)
SECRETS = {
    "credential_as_reader": refused("bi", "select credential_blob from warehouse.connections"),
    "credential_as_auditor": refused(
        "auditor", "select credential_blob from warehouse.connections"
    ),
    "credential_as_dbt": refused(
        "transform", "select credential_blob from warehouse.connections"
    ),
    "credential_in_a_condition": refused(
        "bi", "select 1 from warehouse.connections where credential_blob is not null"
    ),
    "credential_in_an_order": refused(
        "bi", "select 1 from warehouse.connections order by credential_blob"
    ),
    "credential_in_a_count": refused("bi", "select count(credential_blob) from warehouse.connections"),
    "credential_in_a_whole_row": refused("bi", "select to_jsonb(c) from warehouse.connections as c"),
    "credential_by_join_using": refused(
        "bi",
        "select 1 from warehouse.connections as a join warehouse.connections as b"
        " using (credential_blob)",
    ),
    "key_version": refused("bi", "select key_version from warehouse.connections"),
    "data_keys_as_reader": refused("auditor", "select * from warehouse.organization_data_keys"),
    "data_keys_as_dbt": refused("transform", "select * from warehouse.organization_data_keys"),
    "pending_ids_as_dbt": refused("transform", "select * from warehouse.pending_external_ids"),
    "pending_ids_as_reader": refused("bi", "select * from warehouse.pending_external_ids"),
    "audit_log_as_bi": refused("bi", "select * from warehouse.audit_log"),
    "audit_log_as_dbt": refused("transform", "select * from warehouse.audit_log"),
    "audit_heads_as_auditor": refused("auditor", "select * from warehouse.audit_heads"),
    "assessments_as_bi": refused("bi", "select * from warehouse.assessments"),
    "alerts_as_bi": refused("bi", "select * from warehouse.alerts"),
    "host_names_of_workers": refused("bi", "select worker from warehouse.connector_runs"),
    "anything_as_scheduler": refused("scheduler", "select 1 from warehouse.organizations"),
    "coverage_as_scheduler": refused("scheduler", "select 1 from coverage.connector_health"),
}  # fmt: skip
QUERIES = {
    "ask_for_the_victim": harmless(
        "bi", "select * from warehouse.evidence where organization_id = '<victim>'", gives=[]
    ),
    "ask_for_the_victims_log": harmless(
        "auditor", "select * from warehouse.audit_log where organization_id = '<victim>'", gives=[]
    ),
    "ask_for_the_victims_head": harmless(
        "pipeline", "select * from warehouse.audit_heads where organization_id = '<victim>'",
        gives=[],
    ),
    "ask_for_anything": harmless(
        "bi",
        "select distinct organization_id from warehouse.evidence where true or organization_id > ''",
        gives=OWN,
    ),
    "ask_by_physical_place": harmless(
        "bi",
        "select distinct organization_id from warehouse.evidence"
        " where ctid = any (array(select format('(0,%s)', n)::tid from generate_series(1, 99) n))",
        gives=OWN,
    ),
    "ask_for_a_sample": harmless(
        "bi",
        "select distinct organization_id from warehouse.evidence tablesample system (100)",
        gives=OWN,
    ),
    "ask_through_a_view": harmless(
        "bi", "select distinct organization_id from coverage.evidence_freshness", gives=OWN
    ),
    "ask_through_a_view_for_the_victim": harmless(
        "auditor", "select * from coverage.mfa_gaps where organization_id = '<victim>'", gives=[]
    ),
    "ask_by_a_join_in_a_view": harmless(
        "bi",
        "select user_name from coverage.mfa_gaps as g right join warehouse.evidence as e"
        " on true where g.user_name > 'b'",
        gives=[],
    ),
    "ask_by_dynamic_sql": harmless(
        "bi",
        "do $$ declare r record; begin for r in execute 'select * from warehouse.evidence_state'"
        " loop raise notice '%', r; end loop; end $$",
    ),
    "copy_out_a_table": harmless("bi", "copy warehouse.evidence to stdout"),
    "copy_out_a_query": harmless("auditor", "copy (select * from warehouse.audit_log) to stdout"),
    "open_a_cursor": harmless(
        "bi",
        "declare c cursor with hold for select distinct organization_id from warehouse.evidence",
        "fetch all from c",
        gives=OWN,
    ),
    "divide_by_zero_at_the_victims_rows": harmless(
        "bi",
        "select count(*) from warehouse.evidence"
        " where 1 / (case when organization_id = '<victim>' then 0 else 1 end) = 1",
        gives=[(2,)],
    ),
    "divide_by_zero_through_a_view": harmless(
        "bi",
        "select count(*) > 0 from coverage.evidence_freshness"
        " where 1 / (case when organization_id = '<victim>' then 0 else 1 end) = 1",
        gives=[(True,)],
    ),
    "show_values_in_a_cast_error": refused(
        "bi", "select * from warehouse.evidence where payload_canonical::integer = 1", by="22P02"
    ),
    "show_values_in_a_regex_error": harmless(
        "bi", "select count(*) from warehouse.organizations where 'x' ~ name", gives=[(0,)]
    ),
    "set_the_organization_in_the_query": harmless(
        "bi",
        "select distinct organization_id from warehouse.evidence"
        " where set_config('app.organization_id', '<victim>', false) is not null",
        gives=OWN,
    ),
    "a_cheap_function_that_tells": harmless(
        "pipeline", TELLTALE,
        "select distinct organization_id from warehouse.evidence"
        " where pg_temp.tell(payload_canonical)",
        gives=OWN,
    ),
    "a_cheap_function_over_a_view": harmless(
        "pipeline", TELLTALE,
        "select distinct organization_id from coverage.evidence_freshness"
        " where pg_temp.tell(fingerprint)",
        gives=OWN,
    ),
    "a_cheap_function_in_a_join": harmless(
        "pipeline", TELLTALE,
        "select count(*) from warehouse.organizations as a join warehouse.organizations as b"
        " on pg_temp.tell(a.name || b.name)",
        gives=[(1,)],
    ),
    "an_operator_that_tells": harmless(
        "pipeline",
        "create function pg_temp.same(a text, b text) returns boolean language plpgsql"
        " cost 0.0000001 as $$ begin raise notice '%', a; return true; end $$",
        "create operator pg_temp.=== (function = pg_temp.same, leftarg = text, rightarg = text)",
        "select count(*) from warehouse.organizations where name operator(pg_temp.===) 'x'",
        gives=[(1,)],
    ),
    "a_function_said_to_be_leakproof": refused(
        "pipeline",
        "create function pg_temp.quiet(t text) returns boolean language sql leakproof as 'select true'",
    ),
    "a_function_as_reader": refused(
        "bi", "create function pg_temp.tell(t text) returns boolean language sql as 'select true'"
    ),
    "an_aggregate_as_reader": refused(
        "bi", "create aggregate coverage.all_of (text) (sfunc = textcat, stype = text)"
    ),
    "a_view_of_its_own": harmless(
        "pipeline",
        "create temporary view mine as select * from warehouse.evidence",
        "select distinct organization_id from mine",
        gives=OWN,
    ),
    "a_table_that_inherits": refused(
        "pipeline", "create temporary table child () inherits (warehouse.evidence)"
    ),
    "a_rule_on_a_table": refused(
        "pipeline", "create rule r as on insert to warehouse.evidence do also notify x"
    ),
    "a_trigger_on_a_table": refused(
        "pipeline",
        "create trigger t after insert on warehouse.evidence"
        " execute function warehouse.refuse_change()",
    ),
}  # fmt: skip
CATALOGUES = {
    "statistics_of_the_warehouse": harmless(
        "bi", "select * from pg_stats where schemaname = 'warehouse'", gives=[]
    ),
    "statistics_of_the_history": harmless(
        "bi", "select * from pg_stats where tablename = 'coverage_daily'", gives=[]
    ),
    "statistics_as_pipeline": harmless(
        "pipeline",
        "select distinct tablename from pg_stats where schemaname = 'warehouse'",
        gives=[("schema_revision",)],
    ),
    "statistics_themselves": refused("bi", "select * from pg_statistic"),
    "extended_statistics": refused("bi", "select * from pg_statistic_ext_data"),
    "texts_of_other_sessions": harmless("bi", "select * from pg_stat_activity"),
    "texts_by_backend": harmless(
        "bi", "select pg_stat_get_backend_activity(b) from pg_stat_get_backend_idset() as b"
    ),
    "locks_of_others": harmless("bi", "select * from pg_locks"),
    "settings_of_others": harmless("bi", "select * from pg_db_role_setting"),
    "prepared_transactions": harmless("bi", "select * from pg_prepared_xacts", gives=[]),
    "owners_of_large_objects": harmless("bi", "select * from pg_largeobject_metadata", gives=[]),
    "content_of_large_objects": refused("bi", "select * from pg_largeobject"),
    "passwords": refused("bi", "select * from pg_authid"),
    "replication_passwords": refused("bi", "select subconninfo from pg_subscription"),
    "progress_of_others": harmless("bi", "select * from pg_stat_progress_analyze"),
}


@table_of(SECRETS)
def test_no_login_reads_what_it_has_no_use_for(town: Town, attempt: Attempt) -> None:
    judge(town, attempt)


@table_of(QUERIES)
def test_no_query_reaches_the_victims_rows(town: Town, attempt: Attempt) -> None:
    judge(town, attempt)


@table_of(CATALOGUES)
def test_no_catalogue_tells_about_the_victim(town: Town, attempt: Attempt) -> None:
    with town.connect("admin") as admin:
        admin.execute("analyze")
    with (
        town.connect("victims_bi") as theirs,
        town.connect("pipeline") as pipeline,
        pipeline.transaction(),
    ):
        theirs.execute("begin")
        theirs.execute(f"select '{town.facts['name']}' from warehouse.evidence")  # type: ignore[arg-type] # a test's SQL
        pipeline.execute(
            "select set_config('app.organization_id', %s, true)", (town.victim.organization_id,)
        )
        judge(town, attempt)
