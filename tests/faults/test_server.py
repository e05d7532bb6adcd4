"""A Postgres that stops at once, or whose disk is full, while a sync writes."""

import resource
from pathlib import Path

import pytest

from tests.faults.steps import POSTMASTER, WRITES, parameters, was_acknowledged
from tests.faults.town import FACTS, WHOLE, sync
from tests.faults.wire import at_statement
from tests.integration.lifecycle.test_revoking import until
from thirdsentry_pipeline.local.postgres import EmbeddedPostgres
from thirdsentry_pipeline.settings_files import read_json

pytestmark = pytest.mark.integration

QUICK = {"before the readings commit", "after the readings commit"}
EVIDENCE = r"INSERT INTO warehouse\.evidence "
NO_LIMIT = resource.RLIM_INFINITY


def postmaster(home: Path) -> int:
    return int(read_json(home / "postgres" / "server.json")["pid"])


@pytest.mark.fault(4)
@pytest.mark.parametrize("step", parameters(WRITES, QUICK))
def test_when_postgres_stops_at_once_acknowledged_runs_are_whole(own_town, own_server, step):
    home = own_server.home
    before = own_town.observations()
    own_town.environment[POSTMASTER] = str(postmaster(home))
    victim = own_town.victim(step=step, act="stop postgres")
    until(lambda: not EmbeddedPostgres(home).is_running())
    EmbeddedPostgres(home).start()
    victim.wait()
    added = own_town.observations() - before
    assert added in ({WHOLE} if was_acknowledged(victim) else {0, WHOLE}), victim.said()
    assert was_acknowledged(victim) or step != "after the readings commit"
    own_town.heal()


@pytest.mark.fault(7)
def test_a_full_disk_rolls_back_and_is_a_failed_sync(own_town):
    """The table's file may not grow until the transaction was given up; then there is space."""
    before, facts, failed = counts(own_town)
    state = own_town.digest()["state"]
    end = end_of_the_file(own_town)
    with at_statement(EVIDENCE, limit(end), when="before", freed=limit(NO_LIMIT)) as struck:
        outcome = sync(own_town.lab)
    assert struck
    assert outcome.status == "failed"
    assert counts(own_town) == (before, facts, failed + 1)
    assert own_town.digest()["state"] == state
    own_town.heal()


@pytest.mark.fault(7)
def test_a_full_disk_of_the_log_restarts_the_server_and_loses_nothing(own_town, own_server):
    """Postgres ends all backends when it can't write its log, and recovers by itself."""
    before, facts, _ = counts(own_town)
    with at_statement(EVIDENCE, limit(0), when="before") as struck:
        outcome = sync(own_town.lab)
    assert struck
    until(lambda: EmbeddedPostgres(own_server.home).is_running())
    # Back in time, the readings were written again, once.
    written = outcome.status == "succeeded"
    assert counts(own_town)[:2] == (before + WHOLE * written, facts + written)
    own_town.heal()


def limit(size):
    def apply(backend):
        resource.prlimit(backend, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    return apply


def counts(town):
    return town.observations(), town.lab.value(FACTS), town.runs("failed")


def end_of_the_file(town):
    """Where the evidence table's file ends, once no page of it takes another row."""
    with town.lab.database.engine("admin").begin() as connection:
        connection.exec_driver_sql("alter table warehouse.evidence set (fillfactor = 10)")
    return town.lab.value("select pg_relation_size('warehouse.evidence')")
