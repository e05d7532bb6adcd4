"""Imported once, by the server that `tests.warm_dbt` forks from: dbt, warm.

Parsing fills what dbt keeps per process and never looks at again: schemas, classes, templates.
The static parser has threads, which a fork would wait for in vain: each starts its own.
"""

from __future__ import annotations

import gc
import tempfile
from pathlib import Path

from dbt.cli.main import dbtRunner

PROJECT = str(Path(__file__).resolve().parents[1] / "dbt")

with tempfile.TemporaryDirectory(prefix="warm-dbt-") as target:
    places = ("--profiles-dir", PROJECT, "--target-path", target, "--log-path", target)
    dbtRunner().invoke(
        ["--quiet", "parse", "--no-static-parser", "--project-dir", PROJECT, *places]
    )
gc.freeze()
