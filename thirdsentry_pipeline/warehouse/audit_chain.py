"""Recomputes the audit log's hash chain in Python, independent of the database's functions.

A superuser could replace those functions together with the rows. Someone who rewrites a whole
chain consistently is found only by what lies outside: pass the anchors.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Any

from sqlalchemy import Text, cast, select

from thirdsentry_pipeline.domain.time import utc_now
from thirdsentry_pipeline.warehouse.tables import audit_heads, audit_log

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sqlalchemy import Connection as DatabaseConnection
    from sqlalchemy import Row

    from thirdsentry_pipeline.domain.time import Clock

FORMAT = b"thirdsentry audit 1"
GENESIS = "0" * 64
_ROWS_AT_A_TIME = 1000


@dataclass(frozen=True, slots=True)
class Anchor:
    """What was known of a chain at some moment, kept outside of the database.

    Before ``kept_until`` (UTC) retention may not have removed the row, whatever the log says.
    """

    seq: int
    row_hash: str
    kept_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class ChainReport:
    """``broken_seq`` and ``problem`` name the first row that is wrong; ``None`` when none is.

    ``first_seq`` is 1 unless retention pruned what was before; ``seq`` and ``row_hash`` are the
    last row that was read (0 and the genesis hash of an empty log), ``last_at`` its time (UTC).
    """

    rows: int
    first_seq: int
    seq: int
    row_hash: str
    last_at: datetime | None = None
    broken_seq: int | None = None
    problem: str | None = None

    @property
    def is_intact(self) -> bool:
        """Whether every row is where and what it was when it was written."""
        return self.problem is None


def row_hash(
    *,
    organization_id: str,
    seq: int,
    occurred_at: datetime,
    actor: str,
    db_user: str,
    action: str,
    connection_id: str | None,
    run_id: str | None,
    detail: str,
    prev_hash: str,
) -> str:
    """The SHA-256 of one row: each field behind its length in bytes, a null unlike an empty text.

    ``detail`` is the text of the ``jsonb`` value as Postgres writes it.
    """
    fields = (
        organization_id,
        str(seq),
        occurred_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        actor,
        db_user,
        action,
        connection_id,
        run_id,
        detail,
        prev_hash,
    )
    digest = hashlib.sha256(FORMAT)
    for field in fields:
        if field is None:
            digest.update(b"\x00")
        else:
            encoded = field.encode()
            digest.update(b"\x01" + len(encoded).to_bytes(4, "big") + encoded)
    return digest.hexdigest()


def _hash_of(row: Row[Any]) -> str:
    return row_hash(
        organization_id=row.organization_id,
        seq=row.seq,
        occurred_at=row.occurred_at,
        actor=row.actor,
        db_user=row.db_user,
        action=row.action,
        connection_id=None if row.connection_id is None else str(row.connection_id),
        run_id=None if row.run_id is None else str(row.run_id),
        detail=row.detail_text,
        prev_hash=row.prev_hash,
    )


class _BrokenError(Exception):
    """The first thing that is wrong."""

    def __init__(self, seq: int, problem: str) -> None:
        super().__init__(problem)
        self.seq = seq
        self.problem = problem


class _Walk:
    """The chain so far; every step raises at what does not fit."""

    def __init__(self, anchors: Iterable[Anchor], now: datetime) -> None:
        anchors = list(anchors)
        self.anchored = {anchor.seq: anchor.row_hash for anchor in anchors}
        self.kept = {
            anchor.seq for anchor in anchors if anchor.kept_until and anchor.kept_until > now
        }
        self.checkpoints: set[tuple[int, str]] = set()
        self.first_seq, self.first_prev_hash = 1, GENESIS
        self.rows, self.seq, self.row_hash = 0, 0, GENESIS
        self.last_at: datetime | None = None

    def step(self, row: Row[Any]) -> None:
        if self.rows == 0:
            self.first_seq, self.first_prev_hash = row.seq, row.prev_hash
        elif row.seq != self.seq + 1:
            raise _BrokenError(self.seq + 1, "the row is missing")
        elif row.prev_hash != self.row_hash:
            raise _BrokenError(row.seq, "the row does not follow from the one before it")
        if _hash_of(row) != row.row_hash:
            raise _BrokenError(row.seq, "the row is not what was written")
        if self.anchored.get(row.seq, row.row_hash) != row.row_hash:
            raise _BrokenError(row.seq, "the row is not the one that was anchored")
        if row.action == "retention_checkpoint" and row.detail.get("pruned_through_seq"):
            self.checkpoints.add(
                (row.detail["pruned_through_seq"], row.detail["pruned_through_hash"])
            )
        self.rows, self.seq, self.row_hash = self.rows + 1, row.seq, row.row_hash
        self.last_at = row.occurred_at

    def end(self, head: tuple[int, str]) -> None:
        starts_at_genesis = (self.first_seq, self.first_prev_hash) == (1, GENESIS)
        before = (self.first_seq - 1, self.first_prev_hash)
        if not starts_at_genesis and before not in self.checkpoints:
            raise _BrokenError(1, "the rows before the first were removed without a checkpoint")
        if self.anchored.get(self.first_seq - 1, self.first_prev_hash) != self.first_prev_hash:
            raise _BrokenError(self.first_seq, "the row does not follow from the anchored one")
        # A checkpoint can be forged by whoever can rewrite the log; the anchored date can't.
        removed = [seq for seq in self.kept if seq < self.first_seq]
        if removed:
            raise _BrokenError(min(removed), "the row was removed before its time")
        if head != (self.seq, self.row_hash):
            raise _BrokenError(self.seq + 1, "the log does not end where its head says")
        if any(seq > self.seq for seq in self.anchored):
            raise _BrokenError(self.seq + 1, "the row was anchored and is gone")

    def report(self, broken: _BrokenError | None = None) -> ChainReport:
        return ChainReport(
            rows=self.rows,
            first_seq=self.first_seq,
            seq=self.seq,
            row_hash=self.row_hash,
            last_at=self.last_at,
            broken_seq=None if broken is None else broken.seq,
            problem=None if broken is None else broken.problem,
        )


def verify_chain(
    c: DatabaseConnection, anchors: Iterable[Anchor] = (), *, clock: Clock = utc_now
) -> ChainReport:
    """Recompute the chain of the organization whose scope ``c`` is in, and compare.

    A chain starts at 1, or right after the last row that a checkpoint inside the chain names.
    The anchors must have been read before: a row anchored meanwhile would look removed.
    """
    walk = _Walk(anchors, clock())
    head = (0, GENESIS)
    # Rows and head in one statement, so in one snapshot: a row appended meanwhile is in neither.
    query = (
        select(
            audit_log,
            cast(audit_log.c.detail, Text).label("detail_text"),
            audit_heads.c.seq.label("head_seq"),
            audit_heads.c.row_hash.label("head_hash"),
        )
        .select_from(
            audit_log.outerjoin(
                audit_heads,
                audit_log.c.organization_id == audit_heads.c.organization_id,
                full=True,
            )
        )
        .order_by(audit_log.c.seq)
        .execution_options(yield_per=_ROWS_AT_A_TIME)
    )
    try:
        for row in c.execute(query):
            if row.head_seq is not None:
                head = (row.head_seq, row.head_hash)
            if row.seq is not None:
                walk.step(row)
        walk.end(head)
    except _BrokenError as broken:
        return walk.report(broken)
    return walk.report()
