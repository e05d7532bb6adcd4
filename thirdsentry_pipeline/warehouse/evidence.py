"""The write path: what one run read, in one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from thirdsentry_pipeline.domain.errors import RunFailedError
from thirdsentry_pipeline.domain.evidence import ErrorCode, EvidenceType, Reading, ReadStatus
from thirdsentry_pipeline.domain.fingerprint import SCHEMA_VERSION, Fingerprint
from thirdsentry_pipeline.warehouse import audit, tables
from thirdsentry_pipeline.warehouse.connections import lock_connection, mark_open

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from sqlalchemy import Connection as DatabaseConnection


@dataclass(frozen=True, slots=True)
class FingerprintedReading:
    """A reading and, exactly when it is ok, the fingerprint of what it proves."""

    reading: Reading
    subject: str
    fingerprint: Fingerprint | None

    def __post_init__(self) -> None:
        if (self.fingerprint is None) == (self.reading.read_status is ReadStatus.OK):
            message = "a reading has a fingerprint exactly when it is ok"
            raise ValueError(message)


@dataclass(frozen=True, slots=True)
class RecordedReading:
    """What became of a reading; ``is_new`` says that nobody had seen this fact before."""

    evidence_type: EvidenceType
    is_new: bool
    evidence_id: UUID | None


# The state follows from the observations just written, with the database's clock: the state was
# true when it was observed, or earlier, where the source says when it looked. The connection is
# locked, so of two runs the later one to observe is also the later one here.
_PROJECT_STATE = text("""
    insert into warehouse.evidence_state as state (
        connection_id, evidence_type, evidence_id, verdict, fingerprint, last_ok_at,
        last_attempt_at, last_attempt_status, last_error_code
    )
    select
        o.connection_id, o.evidence_type, e.evidence_id, e.verdict, e.fingerprint,
        case when e.evidence_id is not null then least(o.observed_at, o.source_generated_at) end,
        o.observed_at, o.read_status, o.error_code
    from warehouse.evidence_observations as o
    left join warehouse.evidence as e
        on e.organization_id = o.organization_id and e.evidence_id = o.evidence_id
    where o.organization_id = warehouse.require_organization()
        and o.run_id = :run_id and o.connection_id = :connection_id
    order by o.evidence_type
    on conflict (organization_id, connection_id, evidence_type) do update set
        evidence_id = coalesce(excluded.evidence_id, state.evidence_id),
        verdict = coalesce(excluded.verdict, state.verdict),
        fingerprint = coalesce(excluded.fingerprint, state.fingerprint),
        last_ok_at = coalesce(excluded.last_ok_at, state.last_ok_at),
        last_attempt_at = excluded.last_attempt_at,
        last_attempt_status = excluded.last_attempt_status,
        last_error_code = excluded.last_error_code
""")


def record_readings(
    c: DatabaseConnection,
    *,
    run_id: UUID,
    connection_id: UUID,
    account_id: str,
    readings: Sequence[FingerprintedReading],
    api_calls: int,
    throttles: int,
) -> list[RecordedReading]:
    """End the run: evidence, observations, state, run status and audit row, all or nothing.

    ``readings`` has one entry per evidence type; the answer keeps its order. A connection that
    waited for ``reauth`` is active again: its role did open.

    Raises:
        RunFailedError: ``revoked_during_run`` when the connection was revoked meanwhile,
            ``account_mismatch`` when it reads another account, ``transient`` when the run was
            given up as abandoned. Nothing is written.
    """
    connection = lock_connection(c, connection_id)
    if connection.deleted_at is not None:
        raise RunFailedError(
            ErrorCode.REVOKED_DURING_RUN,
            f"Connection {connection_id} was revoked while it was read; nothing was recorded.",
        )
    if connection.account_id != account_id:
        raise RunFailedError(
            ErrorCode.ACCOUNT_MISMATCH,
            f"Connection {connection_id} is of account {connection.account_id}, "
            f"not {account_id}; nothing was recorded.",
        )
    reopened = connection.status == "needs_reauth"
    if reopened:
        mark_open(c, connection_id)
    status = _status(readings)
    _end_run(
        c,
        run_id,
        connection_id,
        status=status,
        error_code=_shared_code(readings),
        api_calls=api_calls,
        throttles=throttles,
    )
    new, known = _insert_evidence(c, run_id, connection_id, account_id, readings)
    recorded = [_recorded(one, new, known) for one in readings]
    c.execute(
        insert(tables.evidence_observations).inline(),
        [
            {
                "run_id": run_id,
                "connection_id": connection_id,
                "evidence_type": one.reading.evidence_type,
                "read_status": one.reading.read_status,
                "evidence_id": result.evidence_id,
                "error_code": one.reading.error_code,
                "regions_unread": sorted(one.reading.regions_unread),
                "source_generated_at": one.reading.source_generated_at,
            }
            for one, result in zip(readings, recorded, strict=True)
        ],
    )
    c.execute(_PROJECT_STATE, {"run_id": run_id, "connection_id": connection_id})
    audit.append(
        c,
        "sync_failed" if status == "failed" else "sync",
        connection_id=connection_id,
        run_id=run_id,
        detail={
            "status": status,
            "account_id": account_id,
            "reads": {one.reading.evidence_type: one.reading.read_status for one in readings},
            "new_evidence": len(new),
            "api_calls": api_calls,
            **({"reactivated": True} if reopened else {}),
        },
    )
    return recorded


def recorded_before(
    c: DatabaseConnection, *, run_id: UUID, connection_id: UUID
) -> list[RecordedReading] | None:
    """What the run recorded already, or ``None`` while it is under way.

    For who lost the connection during COMMIT and can't know. Whoever else may still be writing
    for the run holds the connection's lock, so this waits for the end of that transaction.

    Raises:
        RunFailedError: ``transient`` when the run was given up meanwhile.
    """
    lock_connection(c, connection_id)
    status = c.scalar(
        select(tables.connector_runs.c.status).where(tables.connector_runs.c.run_id == run_id)
    )
    if status == "running":
        return None
    observed, known = tables.evidence_observations.c, tables.evidence.c
    rows = c.execute(
        select(observed.evidence_type, observed.evidence_id, known.first_run_id)
        .outerjoin_from(
            tables.evidence_observations,
            tables.evidence,
            observed.evidence_id == known.evidence_id,
        )
        .where(observed.run_id == run_id, observed.connection_id == connection_id)
    ).all()
    if not rows:
        raise RunFailedError(
            ErrorCode.TRANSIENT,
            f"Run {run_id} had ended before its readings came; start a new one.",
        )
    return [
        RecordedReading(
            EvidenceType(row.evidence_type),
            is_new=row.first_run_id == run_id,
            evidence_id=row.evidence_id,
        )
        for row in rows
    ]


def _status(readings: Sequence[FingerprintedReading]) -> str:
    proven = [one.reading.read_status is ReadStatus.OK for one in readings]
    if not any(proven):
        return "failed"
    return "succeeded" if all(proven) else "partial"


def _shared_code(readings: Sequence[FingerprintedReading]) -> ErrorCode | None:
    """The commonest code of what was not read stands for the run; each type keeps its own."""
    failures = [one.reading.error_code for one in readings if one.fingerprint is None]
    return max(failures, key=failures.count) if failures else None


def _end_run(c: DatabaseConnection, run_id: UUID, connection_id: UUID, **outcome: object) -> None:
    runs = tables.connector_runs.c
    ended = c.execute(
        update(tables.connector_runs)
        .where(runs.run_id == run_id, runs.connection_id == connection_id, runs.status == "running")
        .values(finished_at=func.clock_timestamp(), **outcome)
    )
    if ended.rowcount == 0:
        raise RunFailedError(
            ErrorCode.TRANSIENT,
            f"Run {run_id} had ended before its readings came; start a new one.",
        )


def _insert_evidence(
    c: DatabaseConnection,
    run_id: UUID,
    connection_id: UUID,
    account_id: str,
    readings: Sequence[FingerprintedReading],
) -> tuple[dict[str, UUID], dict[str, UUID]]:
    """Store the facts nobody saw before; ids by fingerprint, of the new and of the known."""
    rows = [
        {
            "connection_id": connection_id,
            "account_id": account_id,
            "evidence_type": one.reading.evidence_type,
            "subject": one.subject,
            "verdict": one.reading.verdict,
            "fingerprint": one.fingerprint.value,
            "payload": dict(one.reading.payload or {}),
            "payload_canonical": one.fingerprint.canonical.decode(),
            "schema_version": SCHEMA_VERSION,
            "first_run_id": run_id,
        }
        # Sorted: two runs that bring the same facts wait for each other in one order.
        for one in sorted(
            readings, key=lambda one: one.fingerprint.value if one.fingerprint else ""
        )
        if one.fingerprint is not None
    ]
    if not rows:
        return {}, {}
    columns = tables.evidence.c
    stored = c.execute(
        # The rows beside the statement and not in it: so its text is made once per process.
        upsert(tables.evidence)
        .on_conflict_do_nothing(index_elements=["organization_id", "fingerprint"])
        .returning(columns.fingerprint, columns.evidence_id),
        rows,
    )
    new = {row.fingerprint: row.evidence_id for row in stored}
    rest = [row["fingerprint"] for row in rows if row["fingerprint"] not in new]
    if not rest:
        return new, {}
    found = c.execute(
        select(columns.fingerprint, columns.evidence_id).where(columns.fingerprint.in_(rest))
    )
    return new, {row.fingerprint: row.evidence_id for row in found}


def _recorded(
    one: FingerprintedReading, new: dict[str, UUID], known: dict[str, UUID]
) -> RecordedReading:
    kind = one.reading.evidence_type
    if one.fingerprint is None:
        return RecordedReading(kind, is_new=False, evidence_id=None)
    value = one.fingerprint.value
    is_new = value in new
    return RecordedReading(kind, is_new=is_new, evidence_id=new[value] if is_new else known[value])
