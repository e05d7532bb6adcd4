"""The naive variant of each main defence leaks: what shows that the attempts would notice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.integration.tenancy.attacks import carry_out, filled_in, harmless, intruder
from tests.integration.tenancy.test_explaining import ONLY_SEQUENTIAL
from tests.integration.tenancy.town import ATTACKER, VICTIM, VICTIM_NAME, Town

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.tenancy.attacks import Attempt

pytestmark = pytest.mark.integration

BOTH = [(ATTACKER,), (VICTIM,)]
EVERYTHING = (
    "select distinct organization_id from naive.{} where organization_id in"
    " ('<attacker>', '<victim>') order by 1"
)
NAIVE = """
drop schema if exists naive cascade;
create schema naive authorization ts_owner;
grant usage on schema naive to ts_bi, ts_pipeline;

-- A view with its owner's rights, one that dbt materialized, and a wall that a setting moves.
create view naive.plain_view as select * from warehouse.evidence;
create materialized view naive.stored_view as select * from warehouse.evidence;
create table naive.by_setting as select organization_id, name from warehouse.organizations;
alter table naive.by_setting enable row level security;
create policy p on naive.by_setting
  using (organization_id = current_setting('app.organization_id', true));
create table naive.by_pattern as table naive.by_setting;
alter table naive.by_pattern enable row level security;
create policy p on naive.by_pattern
  using (organization_id like current_setting('app.organization_id', true));

-- A wall that does not bind the owner, in whose name the function works.
create table naive.unforced as table naive.by_setting;
alter table naive.unforced enable row level security;
alter table naive.unforced owner to ts_owner;
create function naive.read_unforced() returns setof text language sql security definer
  set search_path = naive, pg_catalog, pg_temp as 'select organization_id from unforced order by 1';
alter function naive.read_unforced() owner to ts_owner;

-- Keys without the organization: one tells what is taken, one lets a row point anywhere.
create table naive.global_key (organization_id text, account_id text unique);
insert into naive.global_key values ('{victim}', '222222222222');
alter table naive.global_key enable row level security;
create policy p on naive.global_key
  using (organization_id = current_setting('app.organization_id', true));
create table naive.pointing (
  organization_id text, account_id text references naive.global_key (account_id)
);
alter table naive.pointing enable row level security;
create policy p on naive.pointing
  using (organization_id = current_setting('app.organization_id', true));

-- A definer function that looks for tables among the caller's temporary ones first.
create table naive.members (login text);
create function naive.is_member() returns boolean language sql security definer
  set search_path = naive, pg_catalog
  as $$ select exists (select from members where login = 'mallory') $$;

-- The readers' wall as an equality, and one with statistics beneath it.
create table naive.equality as select organization_id, name from warehouse.organizations;
alter table naive.equality enable row level security;
create policy p on naive.equality
  using (organization_id = (select warehouse.reader_organization_id()));
create table naive.counted as
  select organization_id, account_id || n as content
  from warehouse.connections, generate_series(1, 4000) as n;
alter table naive.counted enable row level security;
create policy p on naive.counted
  using (organization_id = any (array[(select warehouse.reader_organization_id())]));
analyze naive.counted;

grant select on all tables in schema naive to ts_bi, ts_pipeline;
grant insert on all tables in schema naive to ts_pipeline;
grant execute on all functions in schema naive to ts_bi, ts_pipeline;
"""


@pytest.fixture(scope="module")
def naive(town: Town) -> Iterator[Town]:
    """A schema of everything the warehouse does not do."""
    with town.connect("admin") as admin:
        for statement in NAIVE.replace("{victim}", VICTIM).split(";\n"):
            admin.execute(statement)  # type: ignore[arg-type] # a test's SQL
        yield town
        admin.execute("drop schema naive cascade")


LEAKS = {
    "a_view_with_its_owners_rights": harmless("bi", EVERYTHING.format("plain_view"), gives=BOTH),
    "a_materialized_view": harmless("bi", EVERYTHING.format("stored_view"), gives=BOTH),
    "a_wall_that_a_reader_can_set": harmless(
        "bi", "set app.organization_id = '<victim>'",
        "select name from naive.by_setting", gives=[(VICTIM_NAME,)],
    ),
    "a_wall_that_takes_wildcards": harmless(
        "bi", "set app.organization_id = 'b%'",
        "select name from naive.by_pattern", gives=[(VICTIM_NAME,)],
    ),
    "a_wall_that_spares_the_owner": harmless(
        "pipeline", "select * from naive.read_unforced() as id where id in ('<attacker>', '<victim>')",
        gives=BOTH,
    ),
    "a_row_that_points_into_another_organization": harmless(
        "pipeline",
        "insert into naive.pointing values ('<attacker>', '222222222222') returning account_id",
        gives=[("222222222222",)],
    ),
    "a_temporary_table_before_the_real_one": harmless(
        "pipeline", "create temporary table members as select 'mallory' as login",
        "select naive.is_member()", gives=[(True,)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("attempt", LEAKS.values(), ids=list(LEAKS))
def test_the_naive_variant_leaks(naive: Town, attempt: Attempt) -> None:
    concrete, _ = filled_in(naive, attempt)
    seen = carry_out(naive, concrete)
    assert seen.sqlstate is None, seen.text
    assert seen.rows == list(attempt.gives or ())


def test_a_key_without_the_organization_tells_what_is_taken(naive: Town) -> None:
    insert = "insert into naive.global_key values ('<attacker>', '{}')"
    states = []
    for account in ("222222222222", "333333333333"):
        concrete, _ = filled_in(naive, harmless("pipeline", insert.format(account)))
        states.append(carry_out(naive, concrete).sqlstate)
    assert states == ["23505", None]


def plans(naive: Town, how: str, table: str, column: str, guesses: tuple[str, str]) -> list[str]:
    found = []
    with intruder(naive, "bi") as session:
        session.execute(ONLY_SEQUENTIAL)
        for guess in guesses:
            query = (
                f"explain ({how}) select 1 from naive.{table}"
                f" where {column} >= '{guess}' and {column} < '{guess}~'"
            )
            session.execute(query)  # type: ignore[arg-type] # a test's SQL
            rows = session.execute(query).fetchall()  # type: ignore[arg-type] # a test's SQL
            found.append("\n".join(line.replace(guess, "?") for (line,) in rows))
    return found


def test_a_wall_that_is_an_equality_says_whether_it_was_reached(naive: Town) -> None:
    how = "analyze, timing off, summary off, buffers off"
    right, wrong = plans(naive, how, "equality", "name", (VICTIM_NAME, "Basalt Mogistics"))
    assert "never executed" in wrong
    assert "never executed" not in right


def test_statistics_below_a_wall_tell_what_is_there(naive: Town) -> None:
    right, wrong = plans(naive, "analyze off", "counted", "content", ("1111", "3333"))
    assert right != wrong


def test_a_connection_that_is_only_rolled_back_keeps_its_settings(town: Town) -> None:
    with psycopg.connect(town.url("pipeline")) as session:
        session.execute(f"set app.organization_id = '{ATTACKER}'")
        session.commit()
        session.rollback()  # what a pool does by itself
        shown = session.execute("select organization_id from warehouse.organizations")
        assert shown.fetchall() == [(ATTACKER,)]
