"""One migrated Postgres for the whole test session, and a fresh database where a test asks."""

import gc
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from multiprocessing.util import Finalize
from pathlib import Path

import psutil
import pytest
from hypothesis import settings

from tests.databases import DatabaseServer, WarehouseDatabase
from tests.faults.figures import Figures
from thirdsentry_pipeline.local.postgres import EmbeddedPostgres

HOME_VARIABLE = "THIRDSENTRY_TESTS_POSTGRES"
MEMORY = Path("/dev/shm")  # noqa: S108 - the directory made there is this session's own
ROOM_BYTES = 4 * 1024**3

# The same examples every time and as long as they take: luck or a busy machine turn no test red.
# `--hypothesis-profile default` looks for new ones.
settings.load_profile("ci")

pytest_plugins = ["tests.sandbox_fixtures", "tests.coverage_fixtures", "tests.dagster_fixtures"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """How far the fault tests go; the defaults are the quick part, which every run does."""
    group = parser.getgroup("faults")
    group.addoption("--long", action="store_true", help="the long part of the fault tests")
    group.addoption("--figures", action="store_true", help="write docs/reliability.md's figures")
    for name, quick, what in (
        ("--seeds", 25, "kill a sync at so many seeded random moments"),
        ("--first-seed", 0, "the first of the seeds"),
        ("--answers", 2_000, "hostile answers through parser and judge"),
        ("--days", 30, "simulated days"),
        ("--rounds", 3, "syncs in one daemon"),
    ):
        group.addoption(name, type=int, default=quick, help=what)


def pytest_configure(config: pytest.Config) -> None:
    """Name the session's server; xdist workers inherit the name through the environment."""
    # Importing the tests makes no garbage to look for; see pytest_collection_finish.
    gc.disable()
    config.addinivalue_line("markers", "fault(number, …): holds these faults of the matrix")
    config.addinivalue_line("markers", "long: a fault test that runs with --long alone")
    config.addinivalue_line("markers", "minutes: takes minutes with --long, so it begins first")
    if not hasattr(config, "workerinput"):
        memory = place_in_memory()
        home = tempfile.mkdtemp(prefix="thirdsentry-tests-", dir=memory)
        # As root the server runs as another user, who has to pass through.
        Path(home).chmod(0o711)
        os.environ[HOME_VARIABLE] = home
        if memory is not None:
            keep_temporary_files_in(Path(home, "tmp"))
        # A part that was picked by name is no full run.
        if config.getoption("--figures") and not config.getoption("keyword"):
            config.pluginmanager.register(Figures())


def pytest_collection_finish() -> None:
    """Leave what was imported out of every later search for garbage: that is half a million things."""
    gc.freeze()
    # At Python's own threshold, a tenth of a worker's time goes into looking for garbage.
    gc.set_threshold(50_000)
    gc.enable()


def place_in_memory() -> Path | None:
    """Memory, where there is room for the session's databases and temporary files.

    Hundreds of databases and dozens of servers are made, and on a disk that is nearly all
    waiting for files.
    """
    try:
        has_room = shutil.disk_usage(MEMORY).free >= ROOM_BYTES
    except OSError:
        return None
    return MEMORY if has_room and os.access(MEMORY, os.W_OK) else None


def keep_temporary_files_in(directory: Path) -> None:
    """For this process and all it starts; ``--basetemp`` keeps pytest's own longer."""
    directory.mkdir()
    directory.chmod(0o1777)
    os.environ["TMPDIR"] = str(directory)
    tempfile.tempdir = None


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the server, also after failures and workers that crashed."""
    if not hasattr(config, "workerinput"):
        home = Path(os.environ.pop(HOME_VARIABLE))
        EmbeddedPostgres(home).stop()
        end_followers_of(home)
        # After multiprocessing has removed its own directory, which is in there.
        Finalize(None, shutil.rmtree, (home,), {"ignore_errors": True}, exitpriority=-1_000)


def end_followers_of(home: Path) -> None:
    """Kill what follows files of the session: Dagster's ``tail`` of a run that was killed whole."""
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or [""]
        if command[0] == "tail" and str(home) in command[-1]:
            with suppress(psutil.NoSuchProcess):
                process.kill()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[DatabaseServer]:
    """The session's server with its migrated template; shared by all xdist workers."""
    home = Path(os.environ[HOME_VARIABLE])
    with EmbeddedPostgres(home, durable=False):
        server = DatabaseServer(home)
        server.prepare_template()
        yield server


@pytest.fixture(scope="session")
def database(postgres_server: DatabaseServer) -> Iterator[WarehouseDatabase]:
    """This worker's database, migrated; what earlier tests wrote is still there."""
    warehouse = WarehouseDatabase(
        postgres_server, f"test_{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}"
    )
    warehouse.reset()
    yield warehouse
    warehouse.drop()


@pytest.fixture
def clean_database(database: WarehouseDatabase) -> Iterator[WarehouseDatabase]:
    """This worker's database as the migrations left it."""
    if database.is_used:
        database.reset()
    yield database
    database.is_used = True
    database.dispose()


@pytest.fixture
def now() -> datetime:
    """The moment that tests take for the present (UTC)."""
    return datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


@pytest.fixture
def clock(now: datetime) -> Callable[[], datetime]:
    """A clock that stands still."""
    return lambda: now
