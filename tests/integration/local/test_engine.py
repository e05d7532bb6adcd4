"""Engines of the warehouse, and the databases that the tests themselves stand on."""

from pathlib import Path

import psycopg
import pytest
from sqlalchemy import NullPool, text
from sqlalchemy.exc import DBAPIError, OperationalError

from tests.databases import WarehouseDatabase
from thirdsentry_pipeline.domain.errors import ConfigurationError
from thirdsentry_pipeline.warehouse.database import engine_for
from thirdsentry_pipeline.warehouse.readiness import require_safe_login

pytestmark = pytest.mark.integration

# Planning it takes about as much memory as planning a mart.
WIDE = "select " + ", ".join(
    f"(select count(*) from pg_class as c{n} join pg_attribute as a{n} on a{n}.attrelid = c{n}.oid"
    f" join pg_type as t{n} on t{n}.oid = a{n}.atttypid where c{n}.oid = 1)"
    for n in range(12)
)


def test_sessions_are_utc_named_and_bounded(clean_database: WarehouseDatabase) -> None:
    engine = engine_for(clean_database.pipeline_url, application_name="a test's own")
    with engine.connect() as connection:
        settings = {
            name: connection.scalar(text("select current_setting(:name)"), {"name": name})
            for name in ("TimeZone", "statement_timeout", "lock_timeout", "application_name")
        }
    engine.dispose()
    assert settings == {
        "TimeZone": "UTC",
        "statement_timeout": "2min",
        "lock_timeout": "15s",
        "application_name": "a test's own",
    }
    assert engine.dialect.driver == "psycopg"


def test_long_statement_is_cut(clean_database: WarehouseDatabase) -> None:
    engine = engine_for(clean_database.pipeline_url, pool=False, statement_timeout_seconds=1)
    assert isinstance(engine.pool, NullPool)
    with engine.connect() as connection, pytest.raises(OperationalError, match="statement timeout"):
        connection.execute(text("select pg_sleep(60)"))


def test_bound_values_stay_out_of_errors(clean_database: WarehouseDatabase) -> None:
    engine = clean_database.engine("pipeline")
    query = text("select :value, 1 / (length(:value) - 6)")
    with engine.connect() as connection, pytest.raises(DBAPIError) as failure:
        connection.execute(query, {"value": "canary"})
    assert "division by zero" in str(failure.value)
    assert "canary" not in str(failure.value)


def pages_touched_first(process: int) -> int:
    """Minor page faults of a process since it began."""
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[7])


def test_session_keeps_the_memory_it_plans_with(database: WarehouseDatabase) -> None:
    with psycopg.connect(database.pipeline_url, prepare_threshold=None) as connection:
        server = connection.info.backend_pid
        for _ in range(3):
            connection.execute(WIDE)
        before = pages_touched_first(server)
        for _ in range(10):
            connection.execute(WIDE)
        assert pages_touched_first(server) - before < 100


@pytest.mark.parametrize("url", ["", "canary", "postgresql://a:canary@host:port/db"])
def test_malformed_url_is_refused_without_its_text(url: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        engine_for(url)
    assert "canary" not in str(refusal.value)


def test_tenant_logins_are_safe_and_the_superuser_is_not(
    clean_database: WarehouseDatabase,
) -> None:
    for role in ("pipeline", "scheduler", "transform"):
        require_safe_login(clean_database.engine(role))
    with pytest.raises(ConfigurationError, match="row security"):
        require_safe_login(clean_database.engine("admin"))


@pytest.mark.parametrize("test_number", [1, 2])
def test_clean_database_forgets_the_test_before(
    clean_database: WarehouseDatabase, test_number: int
) -> None:
    with clean_database.engine("admin").begin() as connection:
        connection.execute(text("create table public.left_behind (number int)"))
