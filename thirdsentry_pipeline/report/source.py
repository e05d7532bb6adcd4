"""Reads one organization's snapshot through the pipeline's login, inside its scope."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from thirdsentry_pipeline.domain.errors import InputError
from thirdsentry_pipeline.report import queries
from thirdsentry_pipeline.report.snapshot import (
    AccountConnection,
    AuditChain,
    Control,
    Day,
    Evidence,
    Framework,
    MfaAccount,
    MfaGap,
    Run,
    Snapshot,
    ThreatFinding,
    Totals,
)
from thirdsentry_pipeline.warehouse.audit import verify_chain
from thirdsentry_pipeline.warehouse.scope import organization_scope

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sqlalchemy import Connection, Engine, TextClause

Record = TypeVar("Record")
Result = TypeVar("Result")


def read_snapshot(engine: Engine, organization_id: str) -> Snapshot:
    """All rows a report needs, at one moment.

    Raises:
        InputError: the organization has no coverage because it was deleted.
    """
    return at_one_moment(engine, organization_id, partial(_read, organization_id))


def at_one_moment(
    engine: Engine, organization_id: str, read: Callable[[Connection, datetime], Result]
) -> Result:
    """What ``read`` makes of the marts, given the moment (UTC) that all of its statements hold at.

    The marts age with each statement; ``read`` is called again when evidence became stale
    between the first and the last. Rows are those of one snapshot, and nothing can be written.
    """
    frozen = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    with organization_scope(frozen, organization_id) as connection:
        while True:
            moment: datetime = connection.execute(queries.MOMENT).scalar_one()
            result = read(connection, moment)
            if not connection.execute(queries.AGED_SINCE, {"moment": moment}).scalar_one():
                return result


def _read(organization_id: str, connection: Connection, moment: datetime) -> Snapshot:
    totals = _rows(connection, queries.TOTALS, Totals)
    if not totals:
        message = f"The organization {organization_id} was deleted: it has no coverage to report."
        raise InputError(message)
    evidence = _rows(connection, queries.EVIDENCE, Evidence)
    used = sorted({str(one.run_id) for one in evidence if one.run_id is not None})
    return Snapshot(
        organization_id=organization_id,
        taken_at=moment,
        totals=totals[0],
        frameworks=_rows(connection, queries.FRAMEWORKS, Framework),
        controls=_rows(connection, queries.CONTROLS, Control),
        evidence=evidence,
        history=_rows(connection, queries.HISTORY, Day, days=queries.DAYS_SHOWN),
        mfa_accounts=_rows(connection, queries.MFA_ACCOUNTS, MfaAccount),
        mfa_gaps=_rows(connection, queries.MFA_GAPS, MfaGap, rows=queries.ROWS_SHOWN),
        findings=_rows(connection, queries.FINDINGS, ThreatFinding, rows=queries.ROWS_SHOWN),
        connections=_rows(connection, queries.CONNECTIONS, AccountConnection),
        runs=_rows(connection, queries.RUNS, Run, used=used),
        audit=_audit(connection),
    )


def _rows(
    connection: Connection, query: TextClause, record: type[Record], **parameters: Any
) -> tuple[Record, ...]:
    rows = connection.execute(query, parameters).mappings()
    return tuple(record(**{name: _frozen(value) for name, value in row.items()}) for row in rows)


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _audit(connection: Connection) -> AuditChain:
    chain = verify_chain(connection)
    return AuditChain(
        rows=chain.rows,
        first_seq=chain.first_seq,
        seq=chain.seq,
        row_hash=chain.row_hash,
        occurred_at=connection.execute(queries.HEAD_TIME, {"seq": chain.seq}).scalar(),
        broken_seq=chain.broken_seq,
        problem=chain.problem,
    )
