"""dbt killed between two models, also in a full refresh; and nobody's organization."""

import psycopg
import pytest
from psycopg import sql

from tests.faults.dbt_projects import project_over
from tests.integration.dbt.test_coverage_schema import MARTS
from tests.integration.dbt.test_live_view import BUILD, polling
from tests.integration.lifecycle.test_revoking import until
from tests.integration.operations.lab import ORGANIZATION

# dbt starts three times, which on a busy machine takes minutes.
pytestmark = [pytest.mark.integration, pytest.mark.timeout(1500)]

KILLED = -9
START_SECONDS = 600
READ = (
    "evidence_freshness",
    "control_coverage",
    "framework_coverage",
    "organization_coverage",
    "mfa_coverage",
    "connector_health",
)
HOLD = "select pg_advisory_lock(hashtextextended('dbt coverage.' || %s, 0))"
HELD_UP = """
    select count(*) from pg_locks as l
    inner join pg_stat_activity as a using (pid)
    where a.datname = current_database() and l.locktype = 'advisory' and not l.granted
"""
WRITTEN = ("organizations", "connections", "connector_runs", "evidence", "evidence_observations")
MOMENTS = {
    "halfway in a full refresh": ("int_connections_judged", (*BUILD, "--full-refresh")),
    "at the marts of a full refresh": ("control_coverage", (*BUILD, "--full-refresh")),
    "halfway": ("int_connections_judged", BUILD),
    "at the marts": ("control_coverage", BUILD),
}
"""Which model's turn never comes, in which command."""


def is_there(admin):
    return admin.execute(HELD_UP).fetchone() != (0,)


def kill_at(project, model, arguments):
    """Let dbt come as far as the model, whose turn is taken, and kill it there."""
    with psycopg.connect(project.database.admin_url, autocommit=True) as admin:
        admin.execute(HOLD, (model,))
        with project.start(*arguments) as dbt:
            try:
                until(lambda: is_there(admin) or dbt.poll() is not None, START_SECONDS)
            finally:
                dbt.kill()
        assert dbt.returncode == KILLED, "it ended before that model"


@pytest.mark.fault(16)
@pytest.mark.long
@pytest.mark.parametrize("moment", MOMENTS)
def test_dbt_killed_between_models_shows_readers_old_or_new(town, tmp_path, moment):
    model, build = MOMENTS[moment]
    project = project_over(town.lab.database, tmp_path)
    before = town.digest()
    with polling(project.database.pipeline_url, ORGANIZATION, READ) as (reads, troubles):
        kill_at(project, model, build)
        assert troubles == []
        assert town.digest() == before
        until(lambda: min(reads[mart] for mart in READ) > 1)
        project.succeed(*build)
    assert troubles == []
    assert town.digest() == before
    town.heal()


@pytest.mark.fault(16)
def test_without_an_organization_readers_see_nothing_and_writers_fail(town):
    with psycopg.connect(town.lab.database.pipeline_url, autocommit=True) as nobody:
        for mart in MARTS:
            seen = sql.SQL("select count(*) from coverage.{}").format(sql.Identifier(mart))
            assert nobody.execute(seen).fetchone() == (0,), mart
        for table in WRITTEN:
            write = sql.SQL("insert into warehouse.{} default values")
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="no organization is"):
                nobody.execute(write.format(sql.Identifier(table)))
        # The same login, once it says for whom.
        nobody.execute("select set_config('app.organization_id', %s, false)", (ORGANIZATION,))
        for mart in READ:
            seen = sql.SQL("select count(*) from coverage.{}").format(sql.Identifier(mart))
            assert nobody.execute(seen).fetchone() != (0,), mart
