"""Postgres' clock, moved in one test database: its functions stay, their answers come from a table.

The product's SQL asks now(), statement_timestamp() and clock_timestamp() in views, policies,
triggers, defaults and statements. In the test's database alone the catalogue says that these are
SQL functions over a table, so the planner puts that in their place wherever they are called;
nothing of the product is changed, and no other database of the server notices.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg

CLOCKS = ("now()", "transaction_timestamp()", "statement_timestamp()", "clock_timestamp()")
BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
MOVE = """
create schema moved;
grant usage on schema moved to public;
create table moved.clock (moment timestamptz not null);
insert into moved.clock values ('2000-01-01Z');
create function moved.moment() returns timestamptz
  language sql stable strict security definer set search_path = '' as 'select moment from moved.clock';
grant execute on function moved.moment() to public;
"""
SHADOW = """
update pg_catalog.pg_proc
set prolang = (select oid from pg_catalog.pg_language where lanname = 'sql'),
    prosrc = 'select moved.moment()'
where oid = '{}'::regprocedure
"""


@dataclass
class MovedClock:
    """One clock for a test database and for the Python that is tested with it."""

    admin: psycopg.Connection
    moment: datetime = BEGINNING

    @classmethod
    def over(cls, admin_url, moment):
        """Move the clock of the database behind the superuser's URL."""
        admin = psycopg.connect(admin_url, autocommit=True)
        admin.execute(MOVE)
        admin.execute("set allow_system_table_mods = on")
        for clock in CLOCKS:
            admin.execute(SHADOW.format(clock))
        made = cls(admin)
        made.set(moment)
        return made

    def __call__(self):
        return self.moment

    def set(self, moment):
        """It is this moment now; time never goes back."""
        assert moment >= self.moment
        self.moment = moment
        self.admin.execute("update moved.clock set moment = %s", (moment,))

    def tick(self, seconds=1):
        self.set(self.moment + timedelta(seconds=seconds))
