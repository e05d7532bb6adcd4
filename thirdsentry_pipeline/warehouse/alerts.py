"""Alerts, once per episode, and the outbox they are delivered from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import and_, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from thirdsentry_pipeline.warehouse import audit
from thirdsentry_pipeline.warehouse.tables import alerts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import Connection as DatabaseConnection
    from sqlalchemy import Row

AlertKind = Literal["stale", "sync_failed", "needs_reauth"]
RECENT = timedelta(days=30)
"""How long a resolved alert is still news; retention keeps everything at least as long."""
_LONGEST_ERROR = 500


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert; times in UTC. ``notified_at`` is ``None`` until every sink took its opening.

    ``taken_by`` names the sinks that took what is still due at others.
    """

    organization_id: str
    alert_id: UUID
    kind: AlertKind
    episode_key: str
    connection_id: UUID | None
    evidence_type: str | None
    opened_at: datetime
    resolved_at: datetime | None
    notified_at: datetime | None
    resolution_notified_at: datetime | None
    delivery_attempts: int
    last_delivery_error: str | None
    taken_by: Sequence[str]
    detail: Mapping[str, Any]


ALERT_COLUMNS = Alert.__slots__
_READ = tuple(alerts.c[name] for name in ALERT_COLUMNS)


def _alert(row: Row[Any]) -> Alert:
    return Alert(**row._mapping)  # noqa: SLF001 - SQLAlchemy's own name for a row as a mapping


def open_alert(
    c: DatabaseConnection,
    kind: AlertKind,
    episode_key: str,
    *,
    connection_id: UUID | None,
    evidence_type: str | None = None,
    opened_at: datetime,
    resolved_at: datetime | None = None,
    detail: Mapping[str, Any] | None = None,
) -> bool:
    """Store an episode; false when it is known already, whoever stored it.

    With ``resolved_at`` it opened and closed unseen: it is stored and never sent.
    """
    unseen = resolved_at is not None
    stored = c.execute(
        insert(alerts)
        .values(
            kind=kind,
            episode_key=episode_key,
            connection_id=connection_id,
            evidence_type=evidence_type,
            opened_at=opened_at,
            resolved_at=resolved_at,
            notified_at=func.clock_timestamp() if unseen else None,
            resolution_notified_at=func.clock_timestamp() if unseen else None,
            detail=dict(detail or {}),
        )
        .on_conflict_do_nothing(index_elements=["organization_id", "episode_key"])
        .returning(alerts.c.alert_id)
    ).scalar_one_or_none()
    if stored is None:
        return False
    named = {"alert_id": str(stored), "kind": kind, "episode_key": episode_key}
    audit.append(c, "alert_opened", connection_id=connection_id, detail=named)
    if unseen:
        audit.append(c, "alert_resolved", connection_id=connection_id, detail=named)
    return True


def open_alerts(c: DatabaseConnection, kind: AlertKind) -> list[Alert]:
    """The organization's unresolved alerts of a kind, oldest first."""
    query = (
        select(*_READ)
        .where(alerts.c.kind == kind, alerts.c.resolved_at.is_(None))
        .order_by(alerts.c.opened_at, alerts.c.alert_id)
    )
    return [_alert(row) for row in c.execute(query)]


def resolve_alert(c: DatabaseConnection, alert: Alert) -> bool:
    """Close an episode that recovered; false when another process did first."""
    closed = c.execute(
        update(alerts)
        .where(alerts.c.alert_id == alert.alert_id, alerts.c.resolved_at.is_(None))
        .values(
            resolved_at=func.clock_timestamp(),
            delivery_attempts=0,
            next_delivery_at=func.clock_timestamp(),
            taken_by=[],
        )
    )
    if closed.rowcount == 0:
        return False
    audit.append(
        c,
        "alert_resolved",
        connection_id=alert.connection_id,
        detail={
            "alert_id": str(alert.alert_id),
            "kind": alert.kind,
            "episode_key": alert.episode_key,
        },
    )
    return True


def claim_deliveries(c: DatabaseConnection, limit: int = 1000) -> list[Alert]:
    """Alerts whose opening or resolution is due, locked until the transaction ends.

    Another process skips what this one holds. Delivered inside the transaction and marked after,
    a message is sent at least once, and twice only when the process dies between the two.
    """
    due = or_(
        alerts.c.notified_at.is_(None),
        and_(alerts.c.resolved_at.is_not(None), alerts.c.resolution_notified_at.is_(None)),
    )
    query = (
        select(*_READ)
        .where(due, alerts.c.next_delivery_at <= func.clock_timestamp())
        .order_by(alerts.c.opened_at, alerts.c.alert_id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return [_alert(row) for row in c.execute(query)]


def mark_taken(c: DatabaseConnection, delivered: Sequence[Alert], sink: str) -> None:
    """Note that one sink of several took these, so that it is not sent them again."""
    c.execute(
        update(alerts)
        .where(alerts.c.alert_id.in_([one.alert_id for one in delivered]))
        .values(taken_by=func.array_append(alerts.c.taken_by, sink))
    )


def mark_delivered(c: DatabaseConnection, delivered: Sequence[Alert]) -> None:
    """Note that every sink took these, each as it stood when it was claimed."""
    for is_resolved in (False, True):
        ids = [one.alert_id for one in delivered if (one.resolved_at is not None) == is_resolved]
        values: dict[str, Any] = {
            "notified_at": func.coalesce(alerts.c.notified_at, func.clock_timestamp()),
            "delivery_attempts": 0,
            "last_delivery_error": None,
            "taken_by": [],
        }
        if is_resolved:
            values["resolution_notified_at"] = func.clock_timestamp()
        if ids:
            c.execute(update(alerts).where(alerts.c.alert_id.in_(ids)).values(**values))


def mark_undelivered(
    c: DatabaseConnection, failed: Sequence[Alert], error: str, *, retry_in: timedelta
) -> None:
    """Put these back; ``error`` is kept cut to a sentence, and never holds a sink's address."""
    c.execute(
        update(alerts)
        .where(alerts.c.alert_id.in_([one.alert_id for one in failed]))
        .values(
            delivery_attempts=alerts.c.delivery_attempts + 1,
            next_delivery_at=func.clock_timestamp() + retry_in,
            last_delivery_error=error[:_LONGEST_ERROR],
        )
    )


def list_alerts(c: DatabaseConnection, *, since: datetime | None = None) -> list[Alert]:
    """Open alerts, and those resolved after ``since`` (all when ``None``), newest first."""
    query = select(*_READ).order_by(alerts.c.opened_at.desc(), alerts.c.alert_id)
    if since is not None:
        query = query.where(or_(alerts.c.resolved_at.is_(None), alerts.c.resolved_at >= since))
    return [_alert(row) for row in c.execute(query)]
