"""Loading many facts of one organization at once: imports, backfills, restored archives.

COPY into a table under row security is refused, so the rows are staged in a temporary table of
the transaction and pass every policy, check and key from there. A fact that is known already
stays as it is.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from uuid import UUID

    from sqlalchemy import Connection as DatabaseConnection

    from thirdsentry_pipeline.domain.evidence import EvidenceType, Verdict
    from thirdsentry_pipeline.domain.fingerprint import Fingerprint


@dataclass(frozen=True, slots=True)
class Fact:
    """A proven fact and the run that brought it; its observation is written elsewhere."""

    connection_id: UUID
    account_id: str
    evidence_type: EvidenceType
    subject: str
    verdict: Verdict
    payload: Mapping[str, Any]
    fingerprint: Fingerprint
    schema_version: int
    first_run_id: UUID


_STAGE = text("""
    create temporary table staged_evidence (
        connection_id uuid, account_id text, evidence_type text, subject text, verdict text,
        fingerprint text, payload jsonb, payload_canonical text, schema_version integer,
        first_run_id uuid
    ) on commit drop
""")
_COLUMNS = (
    "connection_id, account_id, evidence_type, subject, verdict, fingerprint, payload,"
    " payload_canonical, schema_version, first_run_id"
)
# What is known is left out by a join before the insert: a refused row costs more than a lookup.
# Sorted, so that two loads of the same facts wait for each other in one order.
_STORE = text(f"""
    insert into warehouse.evidence ({_COLUMNS})
    select {_COLUMNS} from (
        select distinct on (staged.fingerprint) staged.*
        from pg_temp.staged_evidence as staged
        left join warehouse.evidence as known
            on known.organization_id = warehouse.require_organization()
            and known.fingerprint = staged.fingerprint
        where known.evidence_id is null
        order by staged.fingerprint
    ) as new
    on conflict (organization_id, fingerprint) do nothing
""")


def load_evidence(c: DatabaseConnection, facts: Iterable[Fact]) -> int:
    """Store the facts nobody saw before, in the caller's transaction; how many those were.

    The caller has entered an organization's scope, and its runs and connections exist.
    """
    c.execute(_STAGE)
    driver: Any = c.connection.driver_connection
    with (
        driver.cursor() as cursor,
        cursor.copy(f"copy pg_temp.staged_evidence ({_COLUMNS}) from stdin") as copy,
    ):
        for fact in facts:
            copy.write_row(_row(fact))
    c.execute(text("analyze pg_temp.staged_evidence"))
    stored = c.execute(_STORE).rowcount
    c.execute(text("drop table pg_temp.staged_evidence"))
    return stored


def _row(fact: Fact) -> tuple[object, ...]:
    return (
        fact.connection_id,
        fact.account_id,
        str(fact.evidence_type),
        fact.subject,
        str(fact.verdict),
        fact.fingerprint.value,
        json.dumps(fact.payload),
        fact.fingerprint.canonical.decode(),
        fact.schema_version,
        fact.first_run_id,
    )
