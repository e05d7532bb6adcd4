"""An organization's connections to AWS accounts, and the external ids waiting for one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import exists, func, insert, or_, select, text, true, update
from sqlalchemy.dialects.postgresql import insert as upsert

from thirdsentry_pipeline.domain.errors import InputError, RunFailedError
from thirdsentry_pipeline.domain.evidence import ErrorCode
from thirdsentry_pipeline.warehouse.tables import (
    connections,
    connector_runs,
    pending_external_ids,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import ColumnElement, Row
    from sqlalchemy import Connection as DatabaseConnection

_LONGEST_WAIT_DAYS = 8


@dataclass(frozen=True, slots=True)
class Connection:
    """A connection without its credential; times in UTC.

    ``stale_after_hours`` is ``None`` where the connector's own threshold holds.
    ``next_attempt_at`` is set while a role does not open: no scheduled read before it.
    """

    organization_id: str
    connection_id: UUID
    connector: str
    account_id: str
    role_arn: str
    status: Literal["active", "needs_reauth", "revoked"]
    key_version: int | None
    stale_after_hours: int | None
    waived_regions: tuple[str, ...]
    connected_at: datetime
    deleted_at: datetime | None
    failed_attempts: int = 0
    next_attempt_at: datetime | None = None


_READ = (
    connections.c.organization_id,
    connections.c.connection_id,
    connections.c.connector,
    connections.c.account_id,
    connections.c.role_arn,
    connections.c.status,
    connections.c.key_version,
    connections.c.stale_after_hours,
    connections.c.waived_regions,
    connections.c.connected_at,
    connections.c.deleted_at,
    connections.c.failed_attempts,
    connections.c.next_attempt_at,
)


def _connection(row: Row[Any]) -> Connection:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's own name for a row as a mapping
    return Connection(**{**values, "waived_regions": tuple(values["waived_regions"])})


def insert_connection(
    c: DatabaseConnection,
    *,
    connection_id: UUID,
    role_arn: str,
    account_id: str,
    credential_blob: bytes,
    key_version: int,
    stale_after_hours: int | None = None,
    waived_regions: Mapping[str, str] | None = None,
) -> None:
    """Store a live connection; ``waived_regions`` maps a region to the reason it is waived."""
    waived = dict(waived_regions or {})
    c.execute(
        insert(connections).values(
            connection_id=connection_id,
            role_arn=role_arn,
            account_id=account_id,
            credential_blob=credential_blob,
            key_version=key_version,
            stale_after_hours=stale_after_hours,
            waived_regions=sorted(waived),
            waived_region_reasons=waived,
        )
    )


def get_connection(c: DatabaseConnection, connection_id: UUID) -> Connection | None:
    """One connection, revoked or not."""
    row = c.execute(
        select(*_READ).where(connections.c.connection_id == connection_id)
    ).one_or_none()
    return None if row is None else _connection(row)


def list_connections(c: DatabaseConnection, *, live_only: bool = False) -> list[Connection]:
    """The organization's connections, oldest first."""
    query = select(*_READ).order_by(connections.c.connected_at, connections.c.connection_id)
    if live_only:
        query = query.where(connections.c.deleted_at.is_(None))
    return [_connection(row) for row in c.execute(query)]


def lock_connection(c: DatabaseConnection, connection_id: UUID) -> Connection:
    """The connection, locked until the transaction ends.

    Whoever writes about a connection locks it first, then its runs, then the audit log: one
    order for all, so that no two wait for each other.

    Raises:
        InputError: there is no such connection.
    """
    row = c.execute(
        select(*_READ)
        .where(connections.c.connection_id == connection_id)
        .with_for_update(key_share=True)
    ).one_or_none()
    if row is None:
        message = f"The organization has no connection {connection_id}."
        raise InputError(message)
    return _connection(row)


def lock_connections(c: DatabaseConnection) -> None:
    """Lock all of the organization's connections, in the order everybody keeps."""
    c.execute(
        select(connections.c.connection_id)
        .order_by(connections.c.connection_id)
        .with_for_update(key_share=True)
    )


def credential_blob(c: DatabaseConnection, connection_id: UUID) -> tuple[bytes, int]:
    """The sealed external id and the version of the data key that sealed it.

    Raises:
        RunFailedError: ``revoked_during_run`` when the connection is gone.
    """
    row = c.execute(
        select(connections.c.credential_blob, connections.c.key_version).where(
            connections.c.connection_id == connection_id, connections.c.deleted_at.is_(None)
        )
    ).one_or_none()
    if row is None:
        raise RunFailedError(
            ErrorCode.REVOKED_DURING_RUN, f"Connection {connection_id} is not live any more."
        )
    return bytes(row.credential_blob), row.key_version


def _change_live(c: DatabaseConnection, connection_id: UUID, **values: object) -> None:
    changed = c.execute(
        update(connections)
        .where(connections.c.connection_id == connection_id, connections.c.deleted_at.is_(None))
        .values(**values)
    )
    if changed.rowcount == 0:
        message = f"The organization has no live connection {connection_id}."
        raise InputError(message)


def mark_needs_reauth(
    c: DatabaseConnection,
    connection_id: UUID,
    *,
    tried_blob: bytes | None = None,
    run_id: UUID | None = None,
) -> None:
    """Note that the role did not open, and wait twice as long before each next attempt.

    A connection that was revoked meanwhile stays as it is, and so does one whose credential is
    no longer ``tried_blob``: its new one was not tried. What several runs at once were refused is
    one attempt: that of the run ``run_id`` counts unless another was noted since it began.
    """
    days = func.least(func.power(2, connections.c.failed_attempts), _LONGEST_WAIT_DAYS)
    # An hour less, so that the jitter of a daily schedule does not cost another day.
    seconds = (days * 24 - 1) * 3600
    c.execute(
        update(connections)
        .where(
            connections.c.connection_id == connection_id,
            connections.c.deleted_at.is_(None),
            true() if tried_blob is None else connections.c.credential_blob == tried_blob,
            true() if run_id is None else _is_no_refusal_of_the_same_time(connection_id, run_id),
        )
        .values(
            status="needs_reauth",
            failed_attempts=connections.c.failed_attempts + 1,
            next_attempt_at=func.clock_timestamp() + func.make_interval(0, 0, 0, 0, 0, 0, seconds),
        )
    )


def _is_no_refusal_of_the_same_time(connection_id: UUID, run_id: UUID) -> ColumnElement[bool]:
    began = select(connector_runs.c.started_at).where(connector_runs.c.run_id == run_id)
    noted = exists().where(
        connector_runs.c.connection_id == connection_id,
        connector_runs.c.run_id != run_id,
        connector_runs.c.error_code == ErrorCode.ASSUME_ROLE_DENIED,
        connector_runs.c.finished_at >= began.scalar_subquery(),
    )
    return or_(connections.c.status != "needs_reauth", ~noted)


def reactivate(
    c: DatabaseConnection,
    connection_id: UUID,
    *,
    role_arn: str,
    credential_blob: bytes,
    key_version: int,
) -> None:
    """Store what was proven to open, and end the waiting.

    Raises:
        InputError: the connection is unknown or revoked.
    """
    _change_live(
        c,
        connection_id,
        status="active",
        role_arn=role_arn,
        credential_blob=credential_blob,
        key_version=key_version,
        failed_attempts=0,
        next_attempt_at=None,
    )


def mark_open(c: DatabaseConnection, connection_id: UUID) -> None:
    """Note that the role opened again, with what is stored, and end the waiting.

    Raises:
        InputError: the connection is unknown or revoked.
    """
    _change_live(c, connection_id, status="active", failed_attempts=0, next_attempt_at=None)


def revoke_connection(c: DatabaseConnection, connection_id: UUID) -> None:
    """Forget the credential for good; the history stays.

    Raises:
        InputError: the connection is unknown or revoked already.
    """
    _change_live(
        c,
        connection_id,
        status="revoked",
        deleted_at=func.clock_timestamp(),
        credential_blob=None,
        key_version=None,
        next_attempt_at=None,
    )


def claim(c: DatabaseConnection, kind: Literal["role_arn", "external_id"], sha256_hex: str) -> bool:
    """Claim an identity for the organization; false when another organization has it."""
    claimed = c.scalar(
        text("select warehouse.claim_identity(:kind, :digest)"),
        {"kind": kind, "digest": sha256_hex},
    )
    return bool(claimed)


def get_pending_external_id(c: DatabaseConnection) -> tuple[bytes, int] | None:
    """The sealed external id of the connection to come, and its key version."""
    row = c.execute(
        select(pending_external_ids.c.credential_blob, pending_external_ids.c.key_version)
    ).one_or_none()
    return None if row is None else (bytes(row.credential_blob), row.key_version)


def pending_made_at(c: DatabaseConnection) -> datetime | None:
    """When the pending id was made (UTC): tells it from the next one, however it is sealed."""
    return c.scalar(select(pending_external_ids.c.created_at))


def put_pending_external_id(c: DatabaseConnection, blob: bytes, key_version: int) -> bool:
    """Store it unless there is one already: two callers then show the same id."""
    stored = c.execute(
        upsert(pending_external_ids)
        .values(credential_blob=blob, key_version=key_version)
        .on_conflict_do_nothing()
        .returning(pending_external_ids.c.key_version)
    )
    return stored.first() is not None


def clear_pending_external_id(c: DatabaseConnection) -> None:
    """Forget it: a connection uses it now."""
    c.execute(pending_external_ids.delete())
