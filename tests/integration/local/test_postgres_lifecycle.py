"""Who starts the embedded server, who ends it, and what it lets in."""

import json
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg
import pytest

from tests.integration.local.conftest import User
from thirdsentry_pipeline.domain.errors import ConfigurationError
from thirdsentry_pipeline.local.postgres import EmbeddedPostgres, ServerAddress
from thirdsentry_pipeline.settings import Settings, with_database

pytestmark = pytest.mark.integration


def admin_url(home: Path) -> str:
    return with_database(Settings(home=home).login_url("admin"), "postgres")


def ask(home: Path, query: str) -> str:
    with psycopg.connect(admin_url(home)) as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    return str(row[0])


def server_pid(home: Path) -> int:
    return int(json.loads((home / "postgres" / "server.json").read_text())["pid"])


def wait_for_end(pid: int) -> None:
    """A process that init has not reaped yet counts as ended."""
    try:
        process = psutil.Process(pid)
        while process.status() != psutil.STATUS_ZOMBIE:
            psutil.wait_procs([process], timeout=0.05)
    except psutil.NoSuchProcess:
        return


def test_server_demands_the_password_and_listens_on_loopback_alone(home: Path) -> None:
    with EmbeddedPostgres(home, durable=False):
        assert ask(home, "show password_encryption") == "scram-sha-256"
        assert ask(home, "show data_checksums") == "on"
        assert ask(home, "show server_encoding") == "UTF8"
        assert ask(home, "show timezone") == "UTC"
        assert ask(home, "show listen_addresses") == "127.0.0.1"
        assert ask(home, "show unix_socket_directories") == ""
        lax = "select count(*) from pg_hba_file_rules where auth_method <> 'scram-sha-256'"
        assert ask(home, lax) == "0"
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(admin_url(home), password="wrong")


def test_durable_server_keeps_fsync_on(stopped_home: Path) -> None:
    with EmbeddedPostgres(stopped_home):
        assert ask(stopped_home, "show fsync") == "on"
        assert ask(stopped_home, "show full_page_writes") == "on"


def test_passwords_are_private_and_in_no_other_file(home: Path) -> None:
    with EmbeddedPostgres(home, durable=False):
        pass
    logins_file = home / "secrets" / "logins.json"
    assert logins_file.stat().st_mode & 0o777 == 0o600
    assert logins_file.parent.stat().st_mode & 0o777 == 0o700
    logins = json.loads(logins_file.read_text())
    assert set(logins) == {"admin", "pipeline", "scheduler", "transform", "dagster"}
    password = logins["admin"]["password"].encode()
    holders = [path for path in home.rglob("*") if path.is_file() and password in path.read_bytes()]
    assert holders == [logins_file]


def test_statements_and_their_values_stay_out_of_the_log(stopped_home: Path) -> None:
    with (
        EmbeddedPostgres(stopped_home, durable=False),
        psycopg.connect(admin_url(stopped_home)) as connection,
    ):
        connection.execute("create table marked (value text unique)")
        connection.execute("insert into marked values ('canary-one')")
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("insert into marked values ('canary-one')")
    log = (stopped_home / "postgres" / "server.log").read_text()
    assert "duplicate key value" in log
    assert "canary" not in log


def test_context_ends_the_server_it_started(stopped_home: Path) -> None:
    server = EmbeddedPostgres(stopped_home, durable=False)
    with server:
        assert server.is_running()
        pid = server_pid(stopped_home)
    assert not server.is_running()
    assert not psutil.pid_exists(pid)
    with pytest.raises(ConfigurationError, match="thirdsentry db start"):
        Settings(home=stopped_home).login_url("pipeline")


def test_started_server_stays_until_it_is_stopped(stopped_home: Path) -> None:
    address = EmbeddedPostgres(stopped_home, durable=False).start()
    assert isinstance(address, ServerAddress)
    with EmbeddedPostgres(stopped_home, durable=False):
        assert ask(stopped_home, "select 1") == "1"
    other = EmbeddedPostgres(stopped_home)
    assert other.is_running()
    other.stop()
    assert not other.is_running()
    other.stop()


def test_db_start_takes_over_a_temporary_server(
    stopped_home: Path, join: Callable[[], User]
) -> None:
    user = join()
    user.wait_until_up()
    pid = server_pid(stopped_home)
    EmbeddedPostgres(stopped_home, durable=False).start()
    user.leave()
    assert server_pid(stopped_home) == pid
    assert EmbeddedPostgres(stopped_home).is_running()


def test_server_outlives_its_starter_while_another_process_uses_it(
    stopped_home: Path, join: Callable[[], User]
) -> None:
    starter = join()
    starter.wait_until_up()
    with (
        EmbeddedPostgres(stopped_home, durable=False),
        psycopg.connect(admin_url(stopped_home)) as connection,
    ):
        starter.leave()
        assert connection.execute("select 1").fetchone() == (1,)
        pid = server_pid(stopped_home)
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("ending", ["kill", "interrupt_terminal"])
def test_killed_or_interrupted_starter_leaves_no_server(
    stopped_home: Path, join: Callable[[], User], ending: str
) -> None:
    starter = join()
    starter.wait_until_up()
    pid = server_pid(stopped_home)
    getattr(starter, ending)()
    wait_for_end(pid)
    with EmbeddedPostgres(stopped_home, durable=False):
        assert server_pid(stopped_home) != pid
    log = (stopped_home / "postgres" / "server.log").read_text()
    assert "not properly shut down" not in log


def test_four_starts_at_once_give_one_server(home: Path, join: Callable[[], User]) -> None:
    users = [join() for _ in range(4)]
    for user in users:
        user.wait_until_up()
    assert ask(home, "select 1") == "1"
    for user in users:
        user.leave()
    log = (home / "postgres" / "server.log").read_text()
    assert log.count("ready to accept connections") == 1
    assert not EmbeddedPostgres(home).is_running()
