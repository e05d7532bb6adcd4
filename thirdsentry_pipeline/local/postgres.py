"""The embedded Postgres: one server per home, on loopback TCP, with passwords.

``with EmbeddedPostgres(home):`` uses a running server or starts one that ends with its last
user, even a killed one. ``start`` leaves the server running until ``stop``.
"""

import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from filelock import FileLock, Timeout

from thirdsentry_pipeline.domain.errors import ConfigurationError
from thirdsentry_pipeline.local.postgres_binaries import (
    Account,
    account_for,
    binaries_for,
    can_enter,
)
from thirdsentry_pipeline.local.postgres_cluster import (
    create_cluster,
    distant_store,
    server_options,
)
from thirdsentry_pipeline.local.postgres_lease import Lease, start_watchdog
from thirdsentry_pipeline.local.postgres_process import (
    HOST,
    PortTakenError,
    Postmaster,
    find_postmaster,
    launch,
    make_way,
    settled_postmaster,
    shut_down,
)
from thirdsentry_pipeline.settings_files import read_json, write_json

if TYPE_CHECKING:
    import subprocess

LOCK_SECONDS = 330
PORT_ATTEMPTS = 5
LOG_LIMIT_BYTES = 10_000_000


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Where the server listens."""

    host: str
    port: int


class EmbeddedPostgres:
    """The server of one home directory; any number of processes may ask for it at once."""

    def __init__(self, home: Path, *, durable: bool = True) -> None:
        """Name the server; ``durable=False`` trades crash safety for speed, for tests."""
        # Resolved, because a running server is recognized by the path it was started with.
        self._directory = home.resolve() / "postgres"
        self._logins_file = home.resolve() / "secrets" / "logins.json"
        self._server_file = self._directory / "server.json"
        self._durable = durable
        self._lease: Lease | None = None
        self._server: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None

    def start(self) -> ServerAddress:
        """Start the server, or take over the running one, and leave it running."""
        lease, address = self._join(persistent=True)
        lease.close()
        return address

    def stop(self) -> None:
        """Stop the server whoever started it; nothing happens when it is not running."""
        if not self._directory.exists():
            return
        with self._locked():
            self._shut_down()

    def is_running(self) -> bool:
        """Whether the server accepts connections."""
        if self._server is not None:
            self._server.poll()
        postmaster = find_postmaster(self._store() / "data")
        return postmaster is not None and postmaster.is_ready

    def __enter__(self) -> Self:
        self._lease, _ = self._join(persistent=False)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        lease, self._lease = self._lease, None
        if lease is None:
            return
        try:
            if lease.try_alone() and not read_json(self._server_file).get("persistent"):
                self._shut_down()
            elif not lease.try_share():
                # The watchdog was quicker: wait for it, so that nothing is left behind us.
                lease.share()
        finally:
            lease.close()
        if self._watchdog is not None and not self.is_running():
            self._watchdog.wait()
        if self._server is not None:
            self._server.poll()

    def _locked(self) -> FileLock:
        return FileLock(self._directory / "start.lock", timeout=LOCK_SECONDS)

    def _join(self, *, persistent: bool) -> tuple[Lease, ServerAddress]:
        self._directory.mkdir(parents=True, exist_ok=True)
        try:
            with self._locked():
                lease = Lease(self._directory / "users.lock")
                try:
                    lease.share()
                    return lease, self._running_or_started(persistent=persistent)
                except BaseException:
                    lease.close()
                    raise
        except Timeout:
            message = f"Another process has been starting Postgres in {self._directory} too long."
            raise ConfigurationError(message) from None

    def _running_or_started(self, *, persistent: bool) -> ServerAddress:
        store = self._store()
        data = store / "data"
        postmaster = settled_postmaster(data)
        if postmaster is not None:
            persistent = persistent or bool(read_json(self._server_file).get("persistent"))
            self._record(data, postmaster, persistent=persistent)
            return ServerAddress(HOST, postmaster.port)
        account = account_for(data)
        if account.switch and not can_enter(account, store):
            store = distant_store(self._directory, account)
            data = store / "data"
        binaries = binaries_for(account, store)
        if not (data / "PG_VERSION").exists():
            create_cluster(binaries, data, account, self._logins_file, durable=self._durable)
        data.chmod(0o700)
        make_way(data, account)
        self._rotate_log()
        postmaster = self._launch(binaries, data, account)
        try:
            self._record(data, postmaster, persistent=persistent)
            if not persistent:
                self._watchdog = start_watchdog(
                    self._directory / "users.lock", data, postmaster.pid, self._server_file
                )
        except BaseException:
            shut_down(postmaster.pid, data, self._server)
            raise
        return ServerAddress(HOST, postmaster.port)

    def _store(self) -> Path:
        """The directory that holds the data: remembered, or below the home."""
        remembered = read_json(self._server_file).get("data_directory")
        if remembered and (Path(remembered) / "PG_VERSION").exists():
            return Path(remembered).parent
        return self._directory

    def _launch(self, binaries: Path, data: Path, account: Account) -> Postmaster:
        """Start on the port used last, or on another free one when it is taken."""
        port = int(read_json(self._server_file).get("port") or 0)
        options = server_options(durable=self._durable)
        for attempt in range(PORT_ATTEMPTS):
            port = port if port and not attempt else free_port()
            command = [str(binaries / "postgres"), "-D", str(data), "-p", str(port), *options]
            with suppress(PortTakenError):
                self._server = launch(command, data, account, self._directory / "server.log")
                return Postmaster(self._server.pid, port, is_ready=True)
        message = "No free port was found for the embedded Postgres."
        raise ConfigurationError(message)

    def _record(self, data: Path, postmaster: Postmaster, *, persistent: bool) -> None:
        document = {"host": HOST, "port": postmaster.port, "pid": postmaster.pid}
        document |= {"data_directory": str(data), "persistent": persistent}
        write_json(self._server_file, document)

    def _shut_down(self) -> None:
        data = self._store() / "data"
        postmaster = find_postmaster(data)
        if postmaster is not None:
            shut_down(postmaster.pid, data, self._server)
        document = read_json(self._server_file)
        if document:
            write_json(self._server_file, document | {"pid": 0, "persistent": False})

    def _rotate_log(self) -> None:
        log = self._directory / "server.log"
        if log.exists() and log.stat().st_size > LOG_LIMIT_BYTES:
            log.replace(log.with_name("server.log.1"))


def free_port() -> int:
    """A port that nothing listens on at this moment."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        return int(listener.getsockname()[1])
