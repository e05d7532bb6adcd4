"""The data directory of the embedded server: where it lies, how it is made, how it is run."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

from thirdsentry_pipeline.domain.errors import ConfigurationError
from thirdsentry_pipeline.local.postgres_binaries import Account
from thirdsentry_pipeline.local.postgres_process import HOST
from thirdsentry_pipeline.settings import LOGIN_NAMES
from thirdsentry_pipeline.settings_files import Login, new_password, read_logins, write_logins

DISTANT_STORES = Path("/var/tmp")  # noqa: S108 - checked for its owner, see distant_store
HANDOVER_PREFIX = ".password."
# Every password here is 256 random bits, which no number of rounds makes harder to guess; the
# default of 4,096 is most of what a connection costs its client.
SCRAM_ITERATIONS = "1"
PARAMETERS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "work_mem": "8MB",
    "maintenance_work_mem": "64MB",
    "max_wal_size": "1GB",
    # What a load writes within the moment that passes until the log's own writer wakes up.
    "wal_buffers": "32MB",
    "password_encryption": "scram-sha-256",
    "scram_iterations": SCRAM_ITERATIONS,
    "timezone": "UTC",
    "log_timezone": "UTC",
    # Containers often have a tiny /dev/shm, where parallel workers fail.
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
    # Statements and row values may hold secrets: they stay out of the server's log.
    "log_statement": "none",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_line_prefix": "%m [%p] %u@%d ",
}
NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


def server_options(*, durable: bool) -> list[str]:
    """The server's settings as arguments."""
    parameters = PARAMETERS | ({} if durable else NOT_DURABLE)
    return [part for name, value in parameters.items() for part in ("-c", f"{name}={value}")]


def create_cluster(
    binaries: Path, data: Path, account: Account, logins_file: Path, *, durable: bool
) -> None:
    """Make the data directory and the passwords; a half-made one of a killed start is dropped.

    Raises:
        ConfigurationError: initdb refused; the sentence ends with its reason.
    """
    logins = read_logins(logins_file)
    for role, name in LOGIN_NAMES.items():
        logins.setdefault(role, Login(name, new_password()))
    write_logins(logins_file, logins)
    partial = data.with_name("data.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o700)
    for left_behind in data.parent.glob(f"{HANDOVER_PREFIX}*"):
        left_behind.unlink()
    descriptor, password_file = tempfile.mkstemp(dir=data.parent, prefix=HANDOVER_PREFIX)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(logins["admin"].password)
        if account.switch:
            os.chown(partial, account.uid, account.gid)
            os.chown(password_file, account.uid, account.gid)
        finished = subprocess.run(
            [
                *(str(binaries / "initdb"), "-D", str(partial), "-k"),
                *("-U", logins["admin"].login, "-A", "scram-sha-256"),
                *("--set", f"scram_iterations={SCRAM_ITERATIONS}"),
                *("--pwfile", password_file, "-E", "UTF8", "--locale=C"),
                *(() if durable else ("--no-sync",)),
            ],
            cwd="/",
            env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
            check=False,
            **account.child_options(),  # type: ignore[call-overload]  # user and group are optional
        )
    finally:
        Path(password_file).unlink(missing_ok=True)
    if finished.returncode != 0:
        reason = finished.stderr.decode("utf-8", errors="replace").strip().splitlines()
        message = f"initdb failed in {data.parent}: {reason[-1] if reason else 'no reason given'}"
        raise ConfigurationError(message)
    partial.rename(data)


def distant_store(directory: Path, account: Account) -> Path:
    """A private directory the account reaches, for a home it can't reach.

    Its name can be guessed, so one that somebody else made there is refused.
    """
    name = hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]
    store = DISTANT_STORES / f"thirdsentry-{name}"
    with suppress(FileExistsError):
        store.mkdir(mode=0o700)
        os.chown(store, account.uid, account.gid)
    status = store.lstat()
    if store.is_symlink() or not store.is_dir() or status.st_uid != account.uid:
        message = f"{store} was made by somebody else: remove it, or move THIRDSENTRY_HOME."
        raise ConfigurationError(message)
    return store
