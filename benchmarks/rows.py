"""What a measurement answers: one row of the table."""

from __future__ import annotations

import os
import platform
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Row:
    """One line of the table; ``met`` is ``None`` where nothing was promised."""

    what: str
    measured: str
    reach: str = ""
    met: bool | None = None

    @property
    def verdict(self) -> str:
        """Whether the reach is met, for the table."""
        return {None: "", True: "yes", False: "**no**"}[self.met]


def seconds_of(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def median_seconds(work: Callable[[], object], repetitions: int) -> float:
    return statistics.median(seconds_of(work) for _ in range(repetitions))


def machine() -> str:
    """The machine in one line, with what else kept it busy."""
    memory = psutil.virtual_memory().total / 2**30
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    return (
        f"{os.cpu_count()} cores ({model}), {memory:.0f} GiB of memory, {platform.system()} "
        f"{platform.release()}, Python {platform.python_version()}"
    )
