"""Every sealed external id of an organization, to be sealed again under a new data key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select, update

from thirdsentry_pipeline.warehouse.tables import connections, pending_external_ids

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy import Connection as DatabaseConnection


def lock_live_blobs(c: DatabaseConnection) -> dict[UUID, tuple[bytes, int]]:
    """Blob and key version of each live connection, locked until the transaction ends."""
    rows = c.execute(
        select(
            connections.c.connection_id, connections.c.credential_blob, connections.c.key_version
        )
        .where(connections.c.deleted_at.is_(None))
        .order_by(connections.c.connection_id)
        .with_for_update(key_share=True)
    )
    return {row.connection_id: (bytes(row.credential_blob), row.key_version) for row in rows}


def replace_blob(c: DatabaseConnection, connection_id: UUID, blob: bytes, key_version: int) -> None:
    """Store the same external id sealed again; the connection's status stays."""
    c.execute(
        update(connections)
        .where(connections.c.connection_id == connection_id, connections.c.deleted_at.is_(None))
        .values(credential_blob=blob, key_version=key_version)
    )


def replace_pending_blob(c: DatabaseConnection, blob: bytes, key_version: int) -> None:
    """Store the external id of the connection to come sealed again; its age stays."""
    c.execute(update(pending_external_ids).values(credential_blob=blob, key_version=key_version))
