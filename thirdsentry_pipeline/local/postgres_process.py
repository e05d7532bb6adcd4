"""The server's process: whether it lives, what a dead one left behind, start and stop."""

import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from thirdsentry_pipeline.domain.errors import ConfigurationError
from thirdsentry_pipeline.local.postgres_binaries import Account

HOST = "127.0.0.1"
PID_FILE = "postmaster.pid"
PID_LINE, PORT_LINE, STATUS_LINE = 0, 3, 7
START_SECONDS = 300
STOP_SECONDS = 60
ORPHAN_SECONDS = 10
CONNECT_SECONDS = 5
POLL_SECONDS = 0.02
# The protocol's shortest question: length 8, request code 1234.5679.
SSL_REQUEST = bytes.fromhex("0000000804d2162f")
# Planning a question over views takes a few hundred kilobytes, storing a thousand facts some
# megabytes. By default the C library gives them back after each one, and getting them again was a
# third of a reader's CPU and a seventh of a load's.
KEPT_MEMORY = str(8 * 1024 * 1024)
ENVIRONMENT = {
    "PATH": os.defpath,
    "LC_ALL": "C",
    "TZ": "UTC",
    "MALLOC_TOP_PAD_": str(512 * 1024),
    "MALLOC_TRIM_THRESHOLD_": KEPT_MEMORY,
    "MALLOC_MMAP_THRESHOLD_": KEPT_MEMORY,
}


class PortTakenError(ConfigurationError):
    """Another program listens on the port that was chosen."""


@dataclass(frozen=True, slots=True)
class Postmaster:
    """A living server of one data directory."""

    pid: int
    port: int
    is_ready: bool


def find_postmaster(data: Path) -> Postmaster | None:
    """The server that runs on the data directory, from its pid file; None when there is none."""
    lines = pid_file_lines(data)
    if len(lines) <= PORT_LINE or not is_postmaster(int(lines[PID_LINE]), data):
        return None
    status = lines[STATUS_LINE].strip() if len(lines) > STATUS_LINE else ""
    return Postmaster(int(lines[PID_LINE]), int(lines[PORT_LINE]), status == "ready")


def settled_postmaster(data: Path) -> Postmaster | None:
    """The server once it accepts connections; None once there is none.

    A server that was just killed, is stopping or recovers from a crash looks alive for a while.

    Raises:
        ConfigurationError: it neither ended nor accepted connections within five minutes.
    """
    deadline = time.monotonic() + START_SECONDS
    while (postmaster := find_postmaster(data)) is not None:
        if postmaster.is_ready and accepts_connections(postmaster.port):
            return postmaster
        if time.monotonic() > deadline:
            message = f"The embedded Postgres (process {postmaster.pid}) does not answer."
            raise ConfigurationError(message)
        time.sleep(POLL_SECONDS)
    return None


def accepts_connections(port: int) -> bool:
    """Whether the server answers: one that was just killed still seems to listen."""
    try:
        with socket.create_connection((HOST, port), timeout=CONNECT_SECONDS) as connection:
            connection.sendall(SSL_REQUEST)
            return connection.recv(1) in {b"S", b"N"}
    except OSError:
        return False


def pid_file_lines(data: Path) -> list[str]:
    """The pid file's lines, or nothing when it is missing or being written."""
    try:
        lines = (data / PID_FILE).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    return lines if lines and lines[PID_LINE].strip().isdigit() else []


def is_postmaster(pid: int, data: Path) -> bool:
    """Whether the process is alive, no zombie, and was started on this data directory."""
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and str(data) in process.cmdline()
    except psutil.Error:
        return False


def make_way(data: Path, account: Account) -> None:
    """Remove what a killed server left, once nothing of it lives.

    Postgres itself takes over a pid file whose process is gone. It refuses when the number
    belongs to a zombie or by now to another program; then the file may go, and only then.

    Raises:
        ConfigurationError: processes of the killed server are still there.
    """
    lines = pid_file_lines(data)
    if not lines:
        return
    deadline = time.monotonic() + ORPHAN_SECONDS
    while orphans := processes_in(data, account):
        if time.monotonic() > deadline:
            names = ", ".join(str(process.pid) for process in orphans)
            message = f"Processes of an earlier Postgres still use {data}: end {names} first."
            raise ConfigurationError(message)
        time.sleep(POLL_SECONDS)
    if psutil.pid_exists(int(lines[PID_LINE])):
        (data / PID_FILE).unlink(missing_ok=True)


def processes_in(data: Path, account: Account) -> list[psutil.Process]:
    """Living Postgres processes in the data directory, or of its user and not to be looked into."""
    found = []
    for process in psutil.process_iter(["name"]):
        if process.info["name"] != "postgres":
            continue
        try:
            if process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()) == data:
                found.append(process)
        except psutil.AccessDenied:
            if process.uids().real == account.uid:
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


def launch(command: list[str], data: Path, account: Account, log: Path) -> subprocess.Popen[bytes]:
    """Start the server apart from our terminal and wait until it accepts connections.

    Raises:
        PortTakenError: the port is in use.
        ConfigurationError: the server ended or did not get ready.
    """
    with log.open("ab") as output:
        offset = output.tell()
        process: subprocess.Popen[bytes] = subprocess.Popen(
            command,
            cwd="/",
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            umask=0o077,
            **account.child_options(),  # type: ignore[call-overload]  # user and group are optional
        )
    deadline = time.monotonic() + START_SECONDS
    try:
        while process.poll() is None and time.monotonic() < deadline:
            postmaster = find_postmaster(data)
            if postmaster is not None and postmaster.pid == process.pid and postmaster.is_ready:
                return process
            time.sleep(POLL_SECONDS)
    except BaseException:
        end(process)
        raise
    end(process)
    raise start_failure(log, offset)


def end(process: subprocess.Popen[bytes]) -> None:
    """Stop a server that is our child, at once, and reap it."""
    if process.poll() is None:
        process.send_signal(signal.SIGQUIT)
        process.wait(STOP_SECONDS)


def start_failure(log: Path, offset: int) -> ConfigurationError:
    """The error that says why the server did not start, in the server's own words."""
    with log.open("rb") as file:
        file.seek(offset)
        lines = file.read().decode("utf-8", errors="replace").splitlines()
    if any("could not bind" in line or "Address already in use" in line for line in lines):
        return PortTakenError("The port for the embedded Postgres is taken by another program.")
    fatal = [line.partition("FATAL:")[2].strip() for line in lines if "FATAL:" in line]
    reason = f": {fatal[-1]}" if fatal else ""
    return ConfigurationError(f"The embedded Postgres did not start{reason} (see {log}).")


def shut_down(pid: int, data: Path, child: subprocess.Popen[bytes] | None) -> None:
    """Ask for a fast shutdown and wait for its end; harder after a minute."""
    for request in (signal.SIGINT, signal.SIGQUIT):
        try:
            os.kill(pid, request)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + STOP_SECONDS
        while time.monotonic() < deadline:
            if child is not None:
                child.poll()
            if not is_postmaster(pid, data):
                return
            time.sleep(POLL_SECONDS)
    message = f"The embedded Postgres (process {pid}) does not stop."
    raise ConfigurationError(message)
