"""dagster-dbt without dbt's own library: dbt is a program here and never loaded into a process.

dagster-dbt imports dbt-core where it finds it (two seconds of CPU in every process that loads
the definitions, runs of evidence included) and does without where it does not, as beside dbt
Fusion. So it is loaded while dbt-core is out of sight; what runs dbt is the executable alone.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from importlib.metadata import version as version_of
from typing import Any

from packaging.version import Version

_DBT = "dbt"


@contextmanager
def _dbt_out_of_sight() -> Iterator[None]:
    """Let ``import dbt`` fail as if it was not installed, unless this process has it already."""
    if _DBT in sys.modules:
        yield
        return
    sys.modules[_DBT] = None  # type: ignore[assignment]  # how Python marks what can't be imported
    try:
        yield
    finally:
        del sys.modules[_DBT]


with _dbt_out_of_sight():
    from dagster_dbt import DagsterDbtTranslator, DbtCliResource, DbtProject, dbt_assets


class DbtProgram(DbtCliResource):
    """The executable; no adapter is made in this process, which would import all of dbt-core."""

    @cached_property
    def _cli_version(self) -> Version:
        """What is installed; asking the executable would start it one time more per run."""
        return Version(version_of("dbt-core"))

    def _initialize_dbt_core_adapter(
        self,
        args: Sequence[str],  # noqa: ARG002 - dagster-dbt's signature
    ) -> Any:
        """None: an adapter serves row counts and column types, which we don't ask for."""
        return None


__all__ = ["DagsterDbtTranslator", "DbtProgram", "DbtProject", "dbt_assets"]
