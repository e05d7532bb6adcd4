"""The server under the tables: files, programs, extensions, other databases, sessions, locks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tests.integration.tenancy.attacks import Attempt, harmless, intruder, judge, refused, table_of
from tests.integration.warehouse.conftest import ok

if TYPE_CHECKING:
    from tests.integration.tenancy.town import Town

pytestmark = pytest.mark.integration

SHADOWS = (
    "create temporary table audit_heads (organization_id text, seq bigint, row_hash text)",
    "create temporary table identity_claims (organization_id text, kind text, keyed_digest bytea)",
    "create temporary table organizations as select * from warehouse.organizations",
    "create function pg_temp.sha256(bytea) returns bytea language sql as $$ select 'x'::bytea $$",
    "set local search_path = pg_temp, warehouse, pg_catalog",
)
FILES = {
    f"{login}_{name}": refused(login, statement)
    for login in ("bi", "pipeline", "transform", "scheduler")
    for name, statement in {
        "reads_a_file": "select pg_read_file('postgresql.conf')",
        "reads_bytes": "select pg_read_binary_file('global/pg_control')",
        "lists_a_directory": "select pg_ls_dir('.')",
        "copies_from_a_file": "do $$ begin create temporary table t (x text); exception when others"
        " then null; end $$; copy warehouse.organizations from '/etc/passwd'",
        "copies_to_a_file": "copy (select 1) to '/tmp/out'",
        "copies_to_a_program": "copy (select 1) to program 'id'",
        "imports_a_large_object": "select lo_import('/etc/passwd')",
    }.items()
    if (login, name) != ("scheduler", "copies_from_a_file")
}
SERVER = {
    "export_a_large_object": refused("pipeline", "select lo_export(1, '/tmp/out')"),
    "create_a_large_object": refused("bi", "select lo_create(0)"),
    "create_a_large_object_from_bytes": refused("bi", "select lo_from_bytea(0, 'x')"),
    "configuration_files": refused("bi", "select * from pg_hba_file_rules"),
    "data_directory": refused("bi", "show data_directory"),
    "the_servers_log": refused("bi", "select pg_current_logfile()"),
    "an_extension": refused("pipeline", "create extension vector schema warehouse"),
    "a_foreign_server": refused("pipeline", "create foreign data wrapper mine"),
    "an_event_trigger": refused(
        "transform",
        "create event trigger e on ddl_command_start"
        " execute function warehouse.refuse_change()",
    ),
    "a_publication": refused("pipeline", "create publication mine"),
    "a_subscription": refused(
        "pipeline", "create subscription mine connection '' publication p with (connect = false)"
    ),
    "a_replication_slot": refused("bi", "select pg_create_physical_replication_slot('mine')"),
    "a_database": refused("bi", "create database mine"),
    "the_product_dropped": refused("transform", "drop schema warehouse cascade", by="42501"),
    "another_session_ended": refused(
        "bi",
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where usename = '<victims_login>'",
    ),
    "another_query_cancelled": refused(
        "bi",
        "select pg_cancel_backend(pid) from pg_stat_activity where usename = '<victims_login>'",
    ),
    "statistics_reset": refused("bi", "select pg_stat_reset()"),
    "memory_dumped_to_the_log": refused(
        "bi", "select pg_log_backend_memory_contexts(pg_backend_pid())"
    ),
    "an_advisory_lock": refused("bi", "select pg_advisory_lock(7416223901)"),
    "an_advisory_lock_if_free": refused("auditor", "select pg_try_advisory_lock_shared(1, 2)"),
    "an_advisory_lock_of_dbt": refused(
        "scheduler",
        "select pg_advisory_xact_lock(hashtextextended('dbt coverage.coverage_daily', 0))",
    ),
    "a_table_locked": refused(
        "bi", "begin", "lock table warehouse.evidence in access exclusive mode"
    ),
    "a_row_locked": refused("bi", "select 1 from warehouse.organizations for share"),
}  # fmt: skip


@table_of(FILES)
def test_no_login_reaches_the_servers_files(town: Town, attempt: Attempt) -> None:
    judge(town, attempt)


@table_of(SERVER)
def test_no_login_runs_the_server(town: Town, attempt: Attempt) -> None:
    with town.connect("victims_bi"):
        judge(town, attempt)


@pytest.mark.parametrize("login", ["bi", "auditor", "scheduler", "transform"])
@pytest.mark.parametrize("database", ["postgres", "template1", "dagster"])
def test_no_login_enters_another_database(town: Town, login: str, database: str) -> None:
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(make_conninfo(town.url(login), dbname=database))


def test_shadows_of_names_lead_no_definer_function_astray(town: Town) -> None:
    """A forged chain, a claim taken twice, or a listing of the attacker's own would show here."""
    claim = "select warehouse.claim_identity('role_arn', '{}')".format("2".ljust(64, "0"))
    append = "insert into warehouse.audit_log (actor, action) values ('shadow', 'revoke')"
    judge(town, harmless("pipeline", *SHADOWS, claim, gives=[(False,)]))
    chained = (
        "select prev_hash = (select row_hash from warehouse.audit_log order by seq desc offset 1"
        " limit 1) from warehouse.audit_log order by seq desc limit 1"
    )
    judge(town, harmless("pipeline", *SHADOWS, append, chained, gives=[(True,)]))
    judge(
        town,
        harmless("pipeline", *SHADOWS, append, "select count(*) from pg_temp.audit_heads", gives=[(0,)]),
    )  # fmt: skip


def test_nobody_is_told_what_happens_in_another_organization(town: Town) -> None:
    with intruder(town, "bi") as session:
        for channel in ("evidence", "audit_log", "run_events", "thirdsentry", "dagster"):
            session.execute(sql.SQL("listen {}").format(sql.Identifier(channel)))
        town.victim.sync(ok(note="something happened"))
        assert list(session.notifies(timeout=0.2)) == []


def test_a_query_of_the_same_login_shows_no_values(town: Town) -> None:
    """The pipeline's sessions see each other's statements: values are bound, never written in."""
    with town.victim.scope() as theirs:
        theirs.exec_driver_sql(
            "select count(*) from warehouse.organizations where name = %s", (town.facts["name"],)
        )
        seen = judge(
            town, harmless("pipeline", "select query from pg_stat_activity where query ~ 'name = '")
        )
    assert "name = $1" in seen.text
