"""Runs the hand-written SQL of a revision."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

from alembic import op

SQL_DIRECTORY = Path(__file__).parent / "sql"


def run_sql(file_name: str, *, as_owner: bool = True) -> None:
    """Run one file of ``sql/``, as ``ts_owner`` unless it needs the administrator."""
    script = (SQL_DIRECTORY / file_name).read_text(encoding="utf-8")
    # Without parameters the driver sends the script as it stands: a % in it is only a %.
    bind = op.get_bind().execution_options(no_parameters=True)
    if as_owner:
        bind.exec_driver_sql("set local role ts_owner")
    bind.exec_driver_sql(script)
    if as_owner:
        bind.exec_driver_sql("reset role")


def refuse_downgrade() -> NoReturn:
    """Raise: nothing in this schema may be taken away again."""
    message = "the warehouse has no downgrade: restore a backup instead"
    raise NotImplementedError(message)
