"""Homes for servers of their own, with helpers to end them the hard way."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from thirdsentry_pipeline.local.postgres import EmbeddedPostgres

CHILD = """
import sys, time
from pathlib import Path
from thirdsentry_pipeline.local.postgres import EmbeddedPostgres
with EmbeddedPostgres(Path(sys.argv[1]), durable=False):
    print("up", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def home() -> Iterator[Path]:
    """A home that every system user can pass through, with blanks and an umlaut in its path."""
    outer = Path(tempfile.mkdtemp(prefix="thirdsentry home ü "))
    outer.chmod(0o711)
    yield outer / "inner home"
    EmbeddedPostgres(outer / "inner home").stop()
    shutil.rmtree(outer)


@pytest.fixture(scope="session")
def made_home() -> Iterator[Path]:
    """A home whose server has run once; initdb is most of what a first start costs."""
    outer = Path(tempfile.mkdtemp(prefix="thirdsentry home ü "))
    outer.chmod(0o711)
    with EmbeddedPostgres(outer / "made home", durable=False):
        pass
    yield outer / "made home"
    shutil.rmtree(outer)


@pytest.fixture
def stopped_home(made_home: Path, home: Path) -> Path:
    """A home whose server has run once, with owners and modes as they were left."""
    subprocess.run(["/bin/cp", "-a", str(made_home), str(home)], check=True)
    server_file = home / "postgres" / "server.json"
    server_file.write_text(server_file.read_text().replace(made_home.name, home.name))
    return home


class User:
    """A process that uses the server until it is told to leave."""

    def __init__(self, home: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def wait_until_up(self) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"up\n", self.process.communicate()[1].decode()

    def leave(self) -> None:
        self.process.communicate(b"\n", timeout=60)
        assert self.process.returncode == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=60)

    def interrupt_terminal(self) -> None:
        """What Ctrl-C does: SIGINT to the whole process group."""
        os.killpg(self.process.pid, signal.SIGINT)
        self.process.communicate(timeout=60)


@pytest.fixture
def join(home: Path) -> Iterator[Callable[[], User]]:
    """Starts processes that use the home's server; none outlives the test."""
    users: list[User] = []

    def start() -> User:
        users.append(User(home))
        return users[-1]

    yield start
    for user in users:
        if user.process.poll() is None:
            user.kill()
