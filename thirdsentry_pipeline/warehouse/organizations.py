"""The tenants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import insert, select

from thirdsentry_pipeline.warehouse import tables

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection as DatabaseConnection


@dataclass(frozen=True, slots=True)
class Organization:
    """A tenant; times in UTC, ``deleted_at`` is ``None`` while it lives."""

    organization_id: str
    name: str
    retention_days: int
    created_at: datetime
    deleted_at: datetime | None


def add_organization(c: DatabaseConnection, organization_id: str, name: str) -> None:
    """Add the organization whose scope ``c`` is in."""
    c.execute(insert(tables.organizations).values(organization_id=organization_id, name=name))


def lock_organization(c: DatabaseConnection) -> None:
    """Hold the organization until the transaction ends: its secrets change one at a time.

    Rows that merely refer to the organization don't wait. Locked before its connections.
    """
    c.execute(select(tables.organizations.c.organization_id).with_for_update(key_share=True))


def get_organization(c: DatabaseConnection) -> Organization | None:
    """The organization whose scope ``c`` is in, if it was ever added."""
    row = c.execute(select(tables.organizations)).one_or_none()
    return None if row is None else Organization(**row._mapping)  # noqa: SLF001 - SQLAlchemy's own name for a row as a mapping
