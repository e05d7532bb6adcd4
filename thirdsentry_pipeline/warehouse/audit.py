"""The audit log's writer; the database chains, times and signs what is appended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import insert, select

from thirdsentry_pipeline.warehouse.audit_chain import Anchor, ChainReport, verify_chain
from thirdsentry_pipeline.warehouse.tables import audit_log

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from sqlalchemy import Connection as DatabaseConnection
    from sqlalchemy import RowMapping

__all__ = [
    "SYSTEM_ACTOR",
    "Anchor",
    "AuditAction",
    "ChainReport",
    "append",
    "read_log",
    "verify_chain",
]

AuditAction = Literal[
    "connect",
    "sync",
    "sync_failed",
    "reauth",
    "revoke",
    "assessment_approved",
    "credential_rewrapped",
    "bi_login_granted",
    "bi_login_revoked",
    "alert_opened",
    "alert_resolved",
]

SYSTEM_ACTOR = "thirdsentry"


def append(
    c: DatabaseConnection,
    action: AuditAction,
    *,
    actor: str = SYSTEM_ACTOR,
    connection_id: UUID | None = None,
    run_id: UUID | None = None,
    detail: Mapping[str, Any],
) -> None:
    """Append one row, in the transaction of what it records; ``detail`` never holds a secret."""
    c.execute(
        # Inline: the trigger decides the key, so there is nothing to fetch back.
        insert(audit_log)
        .inline()
        .values(
            actor=actor,
            action=action,
            connection_id=connection_id,
            run_id=run_id,
            detail=dict(detail),
        )
    )


def read_log(c: DatabaseConnection, *, limit: int | None = None) -> list[RowMapping]:
    """The organization's log, newest first."""
    query = select(audit_log).order_by(audit_log.c.seq.desc()).limit(limit)
    return list(c.execute(query).mappings())
