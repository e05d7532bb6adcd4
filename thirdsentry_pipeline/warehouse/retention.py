"""The one door for deletion: what is older than the organization's window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import text

from thirdsentry_pipeline.warehouse import audit

if TYPE_CHECKING:
    from sqlalchemy import Connection as DatabaseConnection


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
    """
    row = c.execute(text("select * from warehouse.prune_organization(:actor)"), {"actor": actor})
    return Pruned(**row.mappings().one())
