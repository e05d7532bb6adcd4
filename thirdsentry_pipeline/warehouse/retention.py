"""The one door for deletion: what is older than the organization's window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from psycopg import errors
from sqlalchemy import text

from thirdsentry_pipeline.warehouse import audit
from thirdsentry_pipeline.warehouse.refusals import refusals_as_sentences

if TYPE_CHECKING:
    from sqlalchemy import Connection as DatabaseConnection

_STATEMENT_TIMEOUT = "1h"
_CHANGED_MEANWHILE = (
    "Something was attached or read while it was to be pruned, so nothing was; try again."
)


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many rows went; the audit log's checkpoint says the same."""

    observations: int
    evidence: int
    runs: int
    alerts: int
    audit_rows: int

    @property
    def total(self) -> int:
        """All rows together; nothing is recorded when there was nothing to prune."""
        return self.observations + self.evidence + self.runs + self.alerts + self.audit_rows


def prune(c: DatabaseConnection, *, actor: str = audit.SYSTEM_ACTOR) -> Pruned:
    """Delete beyond the window of the organization whose scope ``c`` is in.

    Kept: what an assessment holds, the newest reads, and whatever kept rows point to.

    Raises:
        ThirdSentryError: kept rows came to point to what was being deleted; nothing is.
    """
    # A first pruning of seven years may take longer than any other statement.
    c.execute(
        text("select set_config('statement_timeout', :timeout, true)"),
        {"timeout": _STATEMENT_TIMEOUT},
    )
    query = text("select * from warehouse.prune_organization(:actor)")
    with refusals_as_sentences(
        {
            errors.ForeignKeyViolation: _CHANGED_MEANWHILE,
            errors.DeadlockDetected: _CHANGED_MEANWHILE,
            errors.LockNotAvailable: _CHANGED_MEANWHILE,
        }
    ):
        row = c.execute(query, {"actor": actor}).mappings().one()
    return Pruned(**row)
