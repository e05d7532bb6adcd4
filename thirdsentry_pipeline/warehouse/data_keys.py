"""The organization's data keys, wrapped by KMS; the open key is never stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from thirdsentry_pipeline.warehouse.tables import organization_data_keys

if TYPE_CHECKING:
    from sqlalchemy import Connection as DatabaseConnection

_keys = organization_data_keys.c


def current_data_key(c: DatabaseConnection) -> tuple[int, str, bytes] | None:
    """Version, KMS key id and wrapped key of the newest version; ``None`` before the first."""
    row = c.execute(
        select(_keys.key_version, _keys.kms_key_id, _keys.wrapped_key)
        .order_by(_keys.key_version.desc())
        .limit(1)
    ).one_or_none()
    return None if row is None else (row.key_version, row.kms_key_id, bytes(row.wrapped_key))


def data_key(c: DatabaseConnection, version: int) -> bytes | None:
    """The wrapped key of one version."""
    wrapped = c.scalar(select(_keys.wrapped_key).where(_keys.key_version == version))
    return None if wrapped is None else bytes(wrapped)


def wrapping_key_ids(c: DatabaseConnection) -> dict[int, str]:
    """The KMS key that wrapped each version."""
    rows = c.execute(select(_keys.key_version, _keys.kms_key_id))
    return {row.key_version: row.kms_key_id for row in rows}


def insert_data_key(
    c: DatabaseConnection, *, version: int, kms_key_id: str, wrapped_key: bytes
) -> bool:
    """Store a new version; false when another process stored that version first."""
    stored = c.execute(
        insert(organization_data_keys)
        .values(key_version=version, kms_key_id=kms_key_id, wrapped_key=wrapped_key)
        .on_conflict_do_nothing()
        .returning(_keys.key_version)
    )
    return stored.first() is not None
