"""The two small files that say where the embedded Postgres listens and who may log in."""

import json
import os
import secrets
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from thirdsentry_pipeline.domain.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Login:
    """One database login."""

    login: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Server:
    """Where a running embedded server listens, and its process id."""

    host: str
    port: int
    pid: int


def new_password() -> str:
    """A random password of URL-safe characters."""
    return secrets.token_urlsafe(32)


def read_server(path: Path) -> Server | None:
    """The server the file names when its process is alive, else None."""
    document = read_json(path)
    try:
        server = Server(str(document["host"]), int(document["port"]), int(document["pid"]))
    except (KeyError, TypeError, ValueError):
        return None
    return server if process_exists(server.pid) else None


def read_logins(path: Path) -> dict[str, Login]:
    """The logins in the file by role; empty when there is no file.

    Raises:
        ConfigurationError: the file is open to other users of this machine, or is damaged.
    """
    try:
        mode = path.stat().st_mode & 0o777
    except FileNotFoundError:
        return {}
    if mode & 0o077:
        message = (
            f"{path} holds passwords and other users can read it (mode {mode:o}): "
            f"run `chmod 600 {path}`."
        )
        raise ConfigurationError(message)
    document = read_json(path)
    try:
        return {
            role: Login(str(entry["login"]), str(entry["password"]))
            for role, entry in document.items()
        }
    except (KeyError, TypeError):
        message = f"{path} is damaged: restore it from a backup."
        raise ConfigurationError(message) from None


def write_logins(path: Path, logins: Mapping[str, Login]) -> None:
    """Replace the file at once, readable by its owner alone, in a directory of mode 0700."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_json(
        path,
        {
            role: {"login": login.login, "password": login.password}
            for role, login in logins.items()
        },
    )


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in the file; empty when there is no file.

    Raises:
        ConfigurationError: the file can't be read or is not a JSON object.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        message = f"{path} can't be read as JSON: restore it from a backup."
        raise ConfigurationError(message) from None
    if not isinstance(document, dict):
        message = f"{path} is not a JSON object: restore it from a backup."
        raise ConfigurationError(message)
    return document


def write_json(path: Path, document: Mapping[str, Any], mode: int = 0o600) -> None:
    """Write the object so that a reader sees the old file or the new one, never a part.

    As root the file goes to the owner of its directory, who may come back without root.
    """
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(mode)
        if os.geteuid() == 0:
            owner = path.parent.stat()
            os.chown(temporary, owner.st_uid, owner.st_gid)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def process_exists(pid: int) -> bool:
    """Whether a process with this id is there, a zombie included."""
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
