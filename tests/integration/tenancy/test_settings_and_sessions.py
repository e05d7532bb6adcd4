"""The organization's setting, and what a session leaves to the next user of its connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from sqlalchemy import text

from tests.integration.tenancy.attacks import Attempt, harmless, judge, refused, table_of
from tests.integration.tenancy.town import ATTACKER, VICTIM, Town
from thirdsentry_pipeline.warehouse.database import engine_for
from thirdsentry_pipeline.warehouse.scope import organization_scope

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Engine

pytestmark = pytest.mark.integration

OWN = [(ATTACKER,)]
COUNT = "select count(*) from warehouse.organizations"
SETTINGS = {
    "unset": None,
    "empty": "",
    "blank": " ",
    "wildcard": "%",
    "wildcard_prefix": "b%",
    "regular_expression": ".*",
    "quotes": "' or '1'='1",
    "null_word": "null",
    "uppercase": "B" * 24,
    "blank_after": VICTIM + " ",
    "newline_before": "\n" + VICTIM,
    "two_at_once": f"{ATTACKER},{VICTIM}",
    "array": f"{{{ATTACKER},{VICTIM}}}",
}
READERS_SETTINGS = {
    "set": harmless(
        "bi", "set app.organization_id = '<victim>'",
        "select distinct organization_id from warehouse.evidence", gives=OWN,
    ),
    "set_in_a_view": harmless(
        "bi", "set app.organization_id = '<victim>'",
        "select distinct organization_id from coverage.organization_coverage", gives=OWN,
    ),
    "set_by_an_auditor": harmless(
        "auditor", "set app.organization_id = '<victim>'",
        "select distinct organization_id from warehouse.audit_log", gives=OWN,
    ),
    "set_as_the_group": harmless(
        "bi", "set app.organization_id = '<victim>'", "set role ts_bi",
        "select distinct organization_id from warehouse.connections", gives=OWN,
    ),
    "set_a_search_path": harmless(
        "bi", "set search_path = pg_temp, public, coverage",
        "select distinct organization_id from connector_health", gives=OWN,
    ),
    "set_a_write_mode": refused(
        "bi", "set default_transaction_read_only = off", "delete from coverage.coverage_daily"
    ),
    "set_for_the_victims_login": refused(
        "bi", "alter role <victims_login> set app.organization_id = '<attacker>'"
    ),
    "set_for_its_own_login": refused(
        "bi", "alter role <my_login> set app.organization_id = '<victim>'"
    ),
    "set_for_the_database": refused("bi", "alter database postgres set row_security = off"),
    "set_for_the_server": refused("bi", "alter system set row_security = off"),
}  # fmt: skip


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=list(SETTINGS))
def test_a_setting_that_is_no_organization_shows_nothing(town: Town, setting: str | None) -> None:
    setup = [] if setting is None else [f"set app.organization_id = $it${setting}$it$"]
    for table in ("organizations", "connections", "evidence", "audit_log", "alerts", "bi_logins"):
        count = f"select count(*) from warehouse.{table}"
        judge(town, harmless("pipeline unscoped", *setup, count, gives=[(0,)]))
    forgotten = "insert into warehouse.audit_log (actor, action) values ('a', 'revoke')"
    judge(town, refused("pipeline unscoped", *setup, forgotten))


@table_of(READERS_SETTINGS)
def test_a_readers_settings_change_nothing(town: Town, attempt: Attempt) -> None:
    judge(town, attempt)


def test_settings_given_on_connecting_change_nothing(town: Town) -> None:
    url = make_conninfo(town.url("bi"), options=f"-c app.organization_id={VICTIM}")
    with psycopg.connect(url) as session:
        shown = session.execute("select distinct organization_id from warehouse.evidence")
        assert shown.fetchall() == OWN


@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_the_setting_ends_with_its_transaction(town: Town, end: str) -> None:
    with town.connect("pipeline") as session:
        session.execute("begin")
        session.execute("select set_config('app.organization_id', %s, true)", (ATTACKER,))
        assert session.execute(COUNT).fetchall() == [(1,)]
        session.execute(end)  # type: ignore[arg-type] # a test's SQL
        assert session.execute(COUNT).fetchall() == [(0,)]


@pytest.fixture
def pool(town: Town) -> Iterator[Engine]:
    """The product's engine, whose users come one after the other and so share one connection."""
    engine = engine_for(town.url("pipeline"))
    yield engine
    engine.dispose()


def backend(c: Connection) -> Any:
    return c.scalar(text("select pg_backend_pid()"))


LEFT_BEHIND = {
    "session_setting": (
        f"set app.organization_id = '{ATTACKER}'",
        "select organization_id from warehouse.organizations",
    ),
    "search_path": ("set search_path = pg_temp", "select 1 where current_setting('search_path') ~ 'temp'"),
    "row_security": ("set row_security = off", "select 1 where not current_setting('row_security')::bool"),
    "listening": ("listen loot", "select pg_listening_channels()"),
    "advisory_lock": (
        "select pg_advisory_lock(77)",
        "select 1 from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()",
    ),
    "temporary_table": (
        "create temporary table loot as select * from warehouse.evidence",
        "select 1 from pg_class where relname = 'loot'",
    ),
    "temporary_function": (
        "create function pg_temp.loot() returns int language sql as 'select 1'",
        "select 1 from pg_proc where proname = 'loot'",
    ),
    "cursor_with_hold": (
        "declare loot cursor with hold for select * from warehouse.evidence",
        "select 1 from pg_cursors where name = 'loot'",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("left", "find"), LEFT_BEHIND.values(), ids=list(LEFT_BEHIND))
def test_a_pooled_connection_keeps_nothing_of_a_scope(pool: Engine, left: str, find: str) -> None:
    with organization_scope(pool, ATTACKER) as c:
        first = backend(c)
        c.execute(text(left))
    with pool.connect() as c:
        assert backend(c) == first
        assert c.execute(text(find)).all() == []


def test_a_prepared_statement_follows_the_scope(pool: Engine) -> None:
    with organization_scope(pool, ATTACKER) as c:
        c.execute(text("prepare loot as select distinct organization_id from warehouse.evidence"))
        for _ in range(7):  # from the sixth on, its plan is the one for every organization
            assert c.execute(text("execute loot")).all() == OWN
    with organization_scope(pool, VICTIM) as c:
        assert c.execute(text("execute loot")).all() == [(VICTIM,)]
    with pool.connect() as c:
        assert c.execute(text("execute loot")).all() == []


def test_a_cached_plan_follows_the_scope(pool: Engine) -> None:
    query = text("select distinct organization_id from warehouse.evidence where verdict <> :none")
    for _ in range(8):
        for organization_id in (ATTACKER, VICTIM):
            with organization_scope(pool, organization_id) as c:
                assert c.execute(query, {"none": "x"}).all() == [(organization_id,)]


def test_a_function_that_keeps_its_plan_follows_the_scope(town: Town) -> None:
    with town.connect("pipeline") as session:
        session.execute(
            "create function pg_temp.seen() returns text language plpgsql as"
            " $$ begin return (select string_agg(organization_id, ',') from"
            " (select distinct organization_id from warehouse.evidence) as e); end $$"
        )
        for organization_id in (ATTACKER, VICTIM) * 4:
            with session.transaction():
                session.execute(
                    "select set_config('app.organization_id', %s, true)", (organization_id,)
                )
                assert session.execute("select pg_temp.seen()").fetchall() == [(organization_id,)]
