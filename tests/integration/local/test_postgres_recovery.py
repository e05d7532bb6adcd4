"""Starting again after kills, taken ports, foreign pid files and wrong permissions."""

import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from tests.integration.local.test_postgres_lifecycle import admin_url, ask, server_pid
from thirdsentry_pipeline.domain.errors import ConfigurationError
from thirdsentry_pipeline.local import (
    postgres,
    postgres_binaries,
    postgres_cluster,
    postgres_process,
)
from thirdsentry_pipeline.local.postgres import EmbeddedPostgres

pytestmark = pytest.mark.integration


@pytest.fixture
def run(stopped_home: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Runs programs as the server's user, the only ones whose ids Postgres minds."""
    account = postgres_binaries.account_for(stopped_home / "postgres" / "data")
    processes = []

    def start(*command: str, **options: object) -> subprocess.Popen[bytes]:
        processes.append(subprocess.Popen(command, **account.child_options(), **options))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.wait()


@pytest.fixture
def zombie(run: Callable[..., subprocess.Popen[bytes]]) -> int:
    """The id of a process that has ended and that nobody reaps."""
    process = run("/bin/true")
    while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
        psutil.wait_procs([psutil.Process(os.getpid())], timeout=0.01)
    return process.pid


def leave_pid_file(home: Path, pid: int) -> None:
    data = home / "postgres" / "data"
    lines = [str(pid), str(data), "1", "5432", "", "127.0.0.1", "0 0", "ready"]
    (data / "postmaster.pid").write_text("\n".join(lines) + "\n")


def test_committed_rows_survive_a_killed_server(stopped_home: Path) -> None:
    server = EmbeddedPostgres(stopped_home)
    server.start()
    with psycopg.connect(admin_url(stopped_home)) as connection:
        connection.execute("create table kept as select 7 as value")
    os.kill(server_pid(stopped_home), signal.SIGKILL)
    with EmbeddedPostgres(stopped_home):
        assert ask(stopped_home, "select value from kept") == "7"


def test_killed_server_with_busy_sessions_is_waited_for(stopped_home: Path) -> None:
    server = EmbeddedPostgres(stopped_home)
    server.start()
    connection = psycopg.connect(admin_url(stopped_home), autocommit=True)
    connection.execute("create table kept as select 7 as value")
    connection.execute("begin")
    os.kill(server_pid(stopped_home), signal.SIGKILL)
    with EmbeddedPostgres(stopped_home):
        assert ask(stopped_home, "select value from kept") == "7"
    connection.close()


def test_pid_file_of_a_zombie_does_not_stop_a_start(stopped_home: Path, zombie: int) -> None:
    leave_pid_file(stopped_home, zombie)
    assert not EmbeddedPostgres(stopped_home).is_running()
    with EmbeddedPostgres(stopped_home, durable=False):
        assert ask(stopped_home, "select 1") == "1"


def test_pid_file_that_now_names_another_program_does_not_stop_a_start(
    stopped_home: Path, run: Callable[..., subprocess.Popen[bytes]]
) -> None:
    leave_pid_file(stopped_home, run("/bin/sleep", "60").pid)
    with EmbeddedPostgres(stopped_home, durable=False):
        assert ask(stopped_home, "select 1") == "1"


def test_pid_file_stays_while_something_works_in_the_data_directory(
    stopped_home: Path,
    zombie: int,
    run: Callable[..., subprocess.Popen[bytes]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(postgres_process, "ORPHAN_SECONDS", 0)
    data = stopped_home / "postgres" / "data"
    program = stopped_home / "postgres" / "postgres"
    program.symlink_to("/bin/sleep")
    leave_pid_file(stopped_home, zombie)
    orphan = run(str(program), "60", cwd=data)
    with (
        pytest.raises(ConfigurationError, match=str(orphan.pid)),
        EmbeddedPostgres(stopped_home, durable=False),
    ):
        pass
    assert (data / "postmaster.pid").exists()


def test_home_under_two_names_is_one_server(home: Path) -> None:
    home.mkdir()
    alias = home.with_name("alias")
    alias.symlink_to(home)
    with EmbeddedPostgres(alias, durable=False):
        pid = server_pid(home)
        with EmbeddedPostgres(home, durable=False):
            assert server_pid(alias) == pid
            assert ask(alias, "select 1") == "1"


def test_restart_keeps_the_port(stopped_home: Path) -> None:
    before = json.loads((stopped_home / "postgres" / "server.json").read_text())["port"]
    with EmbeddedPostgres(stopped_home, durable=False):
        after = json.loads((stopped_home / "postgres" / "server.json").read_text())["port"]
    assert after == before


def test_taken_port_is_replaced_by_another(stopped_home: Path) -> None:
    server_file = stopped_home / "postgres" / "server.json"
    before = json.loads(server_file.read_text())["port"]
    with (
        socket.create_server(("127.0.0.1", before)),
        EmbeddedPostgres(stopped_home, durable=False),
    ):
        assert json.loads(server_file.read_text())["port"] != before
        assert ask(stopped_home, "select 1") == "1"


def test_half_made_data_directory_is_made_anew(home: Path) -> None:
    partial = home / "postgres" / "data.partial"
    partial.mkdir(parents=True)
    (partial / "PG_VERSION").write_text("18\n")
    (home / "postgres" / ".password.abc").write_text("left by the killed start")
    with EmbeddedPostgres(home, durable=False):
        assert ask(home, "select 1") == "1"
    assert not partial.exists()
    assert not list((home / "postgres").glob(".password*"))


def test_data_directory_opened_to_others_is_closed_again(stopped_home: Path) -> None:
    data = stopped_home / "postgres" / "data"
    data.chmod(0o755)
    with EmbeddedPostgres(stopped_home, durable=False):
        assert data.stat().st_mode & 0o777 == 0o700


def test_lost_server_file_is_written_again(stopped_home: Path) -> None:
    server = EmbeddedPostgres(stopped_home, durable=False)
    address = server.start()
    (stopped_home / "postgres" / "server.json").unlink()
    with EmbeddedPostgres(stopped_home, durable=False):
        assert ask(stopped_home, "show port") == str(address.port)


def test_server_that_can_not_start_says_why_and_leaves_nothing(
    stopped_home: Path,
) -> None:
    data = stopped_home / "postgres" / "data"
    (data / "postgresql.auto.conf").write_text("no_such_setting = on\n")
    server = EmbeddedPostgres(stopped_home, durable=False)
    with pytest.raises(ConfigurationError, match=r"did not start: .*server\.log"), server:
        pass
    assert not server.is_running()
    assert not (data / "postmaster.pid").exists()


def test_watchdog_that_can_not_start_leaves_no_server(
    stopped_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> None:
        raise PermissionError(*arguments)

    monkeypatch.setattr(postgres, "start_watchdog", refuse)
    server = EmbeddedPostgres(stopped_home, durable=False)
    with pytest.raises(PermissionError), server:
        pass
    assert not server.is_running()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as somebody else")
class TestAsRoot:
    def test_server_runs_without_root(self, stopped_home: Path) -> None:
        with EmbeddedPostgres(stopped_home, durable=False):
            uids = psutil.Process(server_pid(stopped_home)).uids()
            assert 0 not in uids
            assert psutil.Process(server_pid(stopped_home)).gids().real != 0

    def test_home_out_of_reach_keeps_its_mode_and_its_data_elsewhere(self, home: Path) -> None:
        home.mkdir()
        home.chmod(0o700)
        with EmbeddedPostgres(home, durable=False), psycopg.connect(admin_url(home)) as connection:
            connection.execute("create table kept as select 7 as value")
        document = json.loads((home / "postgres" / "server.json").read_text())
        data = Path(document["data_directory"])
        try:
            assert home not in data.parents
            assert data.parent.stat().st_mode & 0o777 == 0o700
            assert home.stat().st_mode & 0o777 == 0o700
            with EmbeddedPostgres(home, durable=False):
                assert ask(home, "select value from kept") == "7"
            assert EmbeddedPostgres(home)._store() == data.parent
        finally:
            EmbeddedPostgres(home).stop()
            subprocess.run(["/bin/rm", "-r", str(data.parent)], check=True)

    def test_directory_that_somebody_else_prepared_is_refused(
        self, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(postgres_cluster, "DISTANT_STORES", tmp_path)
        account = postgres_binaries.account_for(home / "no data yet")
        (tmp_path / "trap").mkdir()
        postgres_cluster.distant_store(home, account).rename(tmp_path / "moved")
        (tmp_path / "moved").rename(tmp_path / "mine")
        name = postgres_cluster.distant_store(home, account)
        name.rmdir()
        name.symlink_to(tmp_path / "trap")
        with pytest.raises(ConfigurationError, match="somebody else"):
            postgres_cluster.distant_store(home, account)

    def test_programs_out_of_reach_are_copied(
        self, stopped_home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = postgres_binaries.run_as

        def only_the_copy(account: object, script: str, argument: Path) -> bool:
            return "site-packages" not in str(argument) and asked(account, script, argument)  # type: ignore[arg-type]

        monkeypatch.setattr(postgres_binaries, "run_as", only_the_copy)
        with EmbeddedPostgres(stopped_home, durable=False):
            assert ask(stopped_home, "select 1") == "1"
            command = psutil.Process(server_pid(stopped_home)).cmdline()[0]
        assert Path(command).is_relative_to(stopped_home)
