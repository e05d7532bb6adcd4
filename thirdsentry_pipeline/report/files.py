"""Files for people: written whole or not at all, refused before any work when they can't be.

What stood there before stays until the new file is complete.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from uuid import uuid4

from thirdsentry_pipeline.domain.errors import InputError, ThirdSentryError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def writable_file(path: Path) -> Path:
    """The place to write, with symbolic links followed.

    Raises:
        InputError: it is a directory or something special, or its folder won't take a file.
    """
    target = _resolved(path)
    if target.is_dir():
        message = f"{path} is a directory: give the name of a file in it."
        raise InputError(message)
    if target.exists() and not target.is_file():
        message = f"{path} is not a regular file: give another name."
        raise InputError(message)
    _require_folder(path, target)
    return target


def writable_folder(path: Path) -> Path:
    """The place of a new folder, or of an empty one.

    Raises:
        InputError: something is there already, or its parent won't take a folder.
    """
    target = _resolved(path)
    if target.is_dir():
        if any(target.iterdir()):
            message = f"{path} is not empty: give a new folder, or a file ending in .zip."
            raise InputError(message)
    elif target.exists():
        message = f"{path} is a file: give a new folder, or a file ending in .zip."
        raise InputError(message)
    _require_folder(path, target)
    return target


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError) as error:
        message = f"{str(path)!r} is no path that can be written to."
        raise InputError(message) from error


def _require_folder(path: Path, target: Path) -> None:
    if not target.parent.is_dir():
        message = f"The folder of {path} does not exist: make it first, or give another."
        raise InputError(message)
    if not os.access(target.parent, os.W_OK | os.X_OK):
        message = f"The folder of {path} can't be written to: give another, or its permissions."
        raise InputError(message)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file beside its place, onto the disk, then move it there.

    Raises:
        ThirdSentryError: the system refused; what was there before is untouched.
    """
    with _beside(path) as temporary:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)


def write_folder(path: Path, files: dict[str, bytes]) -> None:
    """Write a folder of files beside its place, then move it there.

    Raises:
        ThirdSentryError: the system refused; nothing is left behind.
    """
    with _beside(path) as temporary:
        try:
            temporary.mkdir()
            for name, content in files.items():
                (temporary / name).write_bytes(content)
            temporary.replace(path)
        finally:
            for name in files:
                (temporary / name).unlink(missing_ok=True)
            with suppress(FileNotFoundError):
                temporary.rmdir()


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    temporary = path.with_name(f".{path.name[:100]}.{uuid4().hex}")
    try:
        yield temporary
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        message = f"{path} could not be written ({reason}): give another place with --out."
        raise ThirdSentryError(message) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
