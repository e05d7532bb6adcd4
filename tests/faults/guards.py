"""The guards, and how to take each one away: without it, the named tests must go red.

Every author group has a file of entries (``guards_process.py``, …) with a ``GUARDS`` tuple; a
test that names one there is run once more without it, and passes only if it fails then.
"""

import importlib
import os
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

VARIABLE = "THIRDSENTRY_TESTS_WITHOUT"
FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Guard:
    """One defence that can be removed.

    ``tests`` are names of test functions (all their parameters; ``only`` picks one parameter id).
    ``patch(monkeypatch)`` removes it in this process and in every victim; ``sql`` statements
    remove it in the test's database, run by the superuser. ``quick`` ones are shown in every run
    of the tests, the others in the long one.
    """

    name: str
    fault: int
    removes: str
    tests: tuple[str, ...]
    patch: Callable[..., None] | None = None
    sql: tuple[str, ...] = ()
    only: str | None = None
    quick: bool = False


@cache
def all_guards():
    """Every entry of every ``guards_*.py`` beside this file, by name."""
    found = {}
    for module in sorted(one.name for one in pkgutil.iter_modules([str(FOLDER)])):
        if module.startswith("guards_"):
            for guard in importlib.import_module(f"tests.faults.{module}").GUARDS:
                assert guard.name not in found, f"two guards are called {guard.name}"
                found[guard.name] = guard
    return found


def removed():
    """The guard that this process has to do without, if any."""
    name = os.environ.get(VARIABLE)
    return all_guards()[name] if name else None


def apply_to_process(monkeypatch):
    """Take the guard away in this process."""
    guard = removed()
    if guard is not None and guard.patch is not None:
        guard.patch(monkeypatch)


def apply_to_database(execute):
    """Take the guard away in a database; ``execute`` runs a statement as superuser."""
    guard = removed()
    for statement in guard.sql if guard is not None else ():
        execute(statement)
