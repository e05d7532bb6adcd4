"""A database whose connections break, end or run out, that deadlocks, or that is lost whole."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace

import pytest
from psycopg import sql
from sqlalchemy import text
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from tests.faults.town import FACTS, WHOLE, sync
from tests.faults.wire import CutLine, at_statement
from tests.integration.dbt.dbt_command import DbtProject
from tests.integration.lifecycle.test_revoking import until
from tests.integration.operations.lab import ORGANIZATION, OTHER_ORGANIZATION
from thirdsentry_pipeline.warehouse import database as engines
from thirdsentry_pipeline.warehouse.database import engine_for
from thirdsentry_pipeline.warehouse.scope import organization_scope

pytestmark = pytest.mark.integration

WAITING = """
    select count(*) from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock'
"""
AUDIT = "select organization_id, seq, row_hash from warehouse.audit_log order by 1, 2"


@pytest.fixture
def line(town):
    """The town's pipeline login over a line that can be cut."""
    proxy = CutLine(town.lab.database.pipeline_url)
    engine = engine_for(proxy.url)
    town.lab.services = replace(town.lab.services, pipeline=engine)
    yield proxy
    engine.dispose()
    proxy.close()
    town.lab.services = replace(town.lab.services, pipeline=town.lab.database.engine("pipeline"))


@pytest.mark.fault(5)
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_connection_lost_during_commit_doubles_and_loses_nothing(town, line, moment):
    before, ended = town.observations(), town.runs("succeeded")
    line.cut(moment)
    outcome = sync(town.lab)
    assert line.cuts == 1
    assert outcome.status == "succeeded"
    assert town.observations() == before + WHOLE
    assert town.runs("succeeded") == ended + 1
    (connection,) = outcome.connections
    new = {kind for kind, result in connection.evidence.items() if result.is_new}
    assert new == {"aws.iam.password_policy"}
    town.heal()


@pytest.mark.fault(5)
def test_a_backend_terminated_while_it_writes_costs_nothing(town):
    before = town.observations()

    def terminate(backend):
        town.lab.value("select pg_terminate_backend(:backend)", backend=backend)

    with at_statement(r"INSERT INTO warehouse\.evidence_observations", terminate) as struck:
        assert sync(town.lab).status == "succeeded"
    assert struck
    assert town.observations() == before + WHOLE
    town.heal()


@pytest.mark.fault(8)
def test_without_a_free_connection_a_sync_ends_with_an_error_and_leaves_nothing(town, monkeypatch):
    monkeypatch.setattr(engines, "POOL_WAIT_SECONDS", 0.2)
    before = town.observations()
    narrow = engine_for(town.lab.database.pipeline_url)
    wide = town.lab.services
    town.lab.services = replace(wide, pipeline=narrow)
    try:
        with ExitStack() as held:
            for _ in range(engines.POOL_SIZE):
                held.enter_context(organization_scope(narrow, OTHER_ORGANIZATION))
            with pytest.raises(NoConnectionFree):
                sync(town.lab)
        assert town.observations() == before
        # Each connection comes back without the organization it was used for.
        with ExitStack() as held:
            for _ in range(engines.POOL_SIZE):
                connection = held.enter_context(narrow.connect())
                setting = "select nullif(current_setting('app.organization_id', true), '')"
                assert connection.scalar(text(setting)) is None
        assert sync(town.lab).status == "succeeded"
    finally:
        town.lab.services = wide
        narrow.dispose()
    town.heal()


@pytest.mark.fault(8)
def test_a_server_without_a_free_slot_fails_a_run_in_bounded_time(town):
    database = town.lab.database
    before = town.observations()
    limit = sql.SQL("alter database {} connection limit {}")
    town.lab.database.dispose()
    town.server.execute(limit.format(sql.Identifier(database.name), sql.Literal(0)))
    try:
        victim = town.victim()
        assert victim.wait() == 1, victim.said()
    finally:
        town.server.execute(limit.format(sql.Identifier(database.name), sql.Literal(-1)))
    assert town.observations() == before
    assert "too many connections" in victim.said()
    town.heal()


@pytest.fixture
def patience(town):
    """Postgres looks for a deadlock after four seconds: time enough to make one, also under load."""
    name = sql.Identifier(town.lab.database.name)
    town.server.execute(sql.SQL("alter database {} set deadlock_timeout = '4s'").format(name))
    town.lab.services.pipeline.dispose()
    yield
    town.server.execute(sql.SQL("alter database {} reset deadlock_timeout").format(name))
    town.lab.services.pipeline.dispose()


@pytest.mark.fault(9)
def test_a_deadlock_is_written_again(town, patience):
    """A rival holds the audit head and then wants the connection, which the sync holds."""
    before = town.observations()
    with town.lab.database.engine("admin").connect() as rival, ThreadPoolExecutor(1) as pool:
        # The rival waits longer still: Postgres ends the sync's transaction, not the rival's.
        rival.execute(text("set deadlock_timeout = '60s'"))
        rival.execute(
            text("select 1 from warehouse.audit_heads where organization_id = :mine for update"),
            {"mine": ORGANIZATION},
        )
        syncing = pool.submit(sync, town.lab)
        until(lambda: town.lab.value(WAITING) == 1)
        rival.execute(text("select 1 from warehouse.connections for update"))
        rival.commit()
        outcome = syncing.result(timeout=60)
    assert outcome.status == "succeeded"
    assert town.observations() == before + WHOLE
    town.heal()


@pytest.mark.long
@pytest.mark.fault(9)
def test_two_writers_beside_dbt_with_four_threads_lose_nothing(town, tmp_path):
    before = town.observations()
    project = DbtProject(town.lab.database, tmp_path)
    with ThreadPoolExecutor(3) as pool:
        building = pool.submit(project.run, "run", "--threads", "4")
        while not building.done():
            town.change()
            both = [pool.submit(sync, town.lab) for _ in range(2)]
            assert [one.result().status for one in both] == ["succeeded", "succeeded"]
            assert sync(town.twin).status == "succeeded"
    assert building.result().returncode == 0, building.result().stdout
    assert (town.observations() - before) % (2 * WHOLE) == 0
    town.heal()


@pytest.mark.fault(10)
def test_eight_runs_of_one_day_at_once_keep_one_row_per_fact(town):
    before, facts = town.observations(), town.lab.value(FACTS)
    victims = [town.victim() for _ in range(8)]
    assert [victim.wait() for victim in victims] == [0] * 8
    assert town.observations() == before + 8 * WHOLE
    assert town.lab.value(FACTS) == facts + 1
    town.heal()


@pytest.mark.fault(15)
def test_without_dagsters_database_nothing_is_lost(town, townhall):
    assert town.victim().wait() == 0
    assert sync(town.twin).status == "succeeded"
    said, log = town.digest(), town.lab.rows(AUDIT)
    town.new_dagster(townhall.parts["dagster_template"])
    assert town.digest() == said
    assert town.lab.rows(AUDIT) == log
    town.change()
    assert town.victim().wait() == 0
    town.heal()
