"""Keeping what jobs print away from our own terminal."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOG_LIMIT_BYTES = 10_000_000


@contextmanager
def console_to(log: Path) -> Iterator[None]:
    """Send everything this process and its children print to the end of a file, for a while.

    File descriptors are turned, not Python's streams: Dagster and dbt write below them, and
    stdout belongs to the one JSON document of the command.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > LOG_LIMIT_BYTES:
        log.replace(log.with_name(f"{log.name}.1"))
    streams = (sys.stdout, sys.stderr)
    for stream in streams:
        stream.flush()
    saved = [os.dup(descriptor) for descriptor in (1, 2)]
    try:
        with log.open("ab") as file:
            for descriptor in (1, 2):
                os.dup2(file.fileno(), descriptor)
        yield
    finally:
        for stream in streams:
            stream.flush()
        for descriptor, before in zip((1, 2), saved, strict=True):
            os.dup2(before, descriptor)
            os.close(before)
