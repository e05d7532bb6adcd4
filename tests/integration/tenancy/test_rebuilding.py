"""While dbt rebuilds coverage, a reader sees its own organization's rows or none, never another's."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.integration.dbt.test_coverage_schema import MARTS
from tests.integration.tenancy.town import ATTACKER

if TYPE_CHECKING:
    from tests.integration.tenancy.town import Town

pytestmark = pytest.mark.integration


def test_no_moment_of_a_rebuild_shows_another_organization(town: Town) -> None:
    seen: dict[str, set[str]] = {mart: set() for mart in MARTS}
    done = threading.Event()

    def poll() -> None:
        with town.connect("bi") as session:
            while not done.is_set():
                for mart in MARTS:
                    query = f"select distinct organization_id from coverage.{mart}"
                    try:
                        rows = session.execute(query).fetchall()  # type: ignore[arg-type] # a test's SQL
                    except psycopg.errors.UndefinedTable:
                        continue  # between the drop below and the build
                    seen[mart] |= {organization for (organization,) in rows}
                # A reader without a pause would take dbt the core that it builds on.
                done.wait(0.01)

    with town.connect("admin") as admin:
        admin.execute("update warehouse.organizations set created_at = now() - interval '9 days'")
        admin.execute("drop table coverage.coverage_daily")
    poller = threading.Thread(target=poll)
    poller.start()
    try:
        town.project.succeed("run")
    finally:
        done.set()
        poller.join()
    assert set().union(*seen.values()) == {ATTACKER}
    # There was something to see in the table that was made anew.
    assert seen["coverage_daily"] == {ATTACKER}
    with town.connect("admin") as admin:
        present = admin.execute("select distinct organization_id from coverage.coverage_daily")
        assert present.rowcount > 1
