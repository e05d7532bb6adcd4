"""Loading many facts of one organization at once: imports, backfills, restored archives.

COPY into a table under row security is refused, so the rows are staged in a temporary table of
the transaction and pass every policy, check and key from there. A fact that is known already
stays as it is.

No command calls it: a run brings seven facts of one account, which `evidence.record_readings`
stores in one statement, and runs of several organizations share no transaction. This is the door
for whoever moves an archive in.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import islice
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
# "offset 0" keeps it one look into the unique index per fingerprint: without statistics on the
# organization the planner takes reading all of its evidence, for every question, to be cheaper.
_KNOWN = text("""
    select asked.fingerprint
    from unnest(cast(:fingerprints as text[])) as asked (fingerprint)
    cross join lateral (
        select from warehouse.evidence as known
        where known.organization_id = (select warehouse.require_organization())
            and known.fingerprint = asked.fingerprint
        offset 0
    ) as found
""")
# The id comes from the fingerprint (a UUID of version 8): random ones cost more than the rest of
# the row and scatter over two indexes. The organization is asked for once and not per row.
# Sorted, so that two loads of the same facts wait for each other in one order.
_STORE = text(f"""
    insert into warehouse.evidence (organization_id, evidence_id, {_COLUMNS})
    select
        (select warehouse.require_organization()),
        cast(overlay(overlay(
            substr(split_part(staged.fingerprint, ':', 2), 1, 32) placing '8' from 13
        ) placing '8' from 17) as uuid),
        {_COLUMNS}
    from pg_temp.staged_evidence as staged
    order by staged.fingerprint
    on conflict (organization_id, fingerprint) do nothing
""")
_FACTS_AT_A_TIME = 5_000


def load_evidence(c: DatabaseConnection, facts: Iterable[Fact]) -> int:
    """Store the facts nobody saw before, in the caller's transaction; how many those were.

    The caller has entered an organization's scope, and its runs and connections exist. A fact
    that is known is asked for by its fingerprint alone and travels no further.
    """
    remaining = iter(facts)
    is_staging = False
    while some := list(islice(remaining, _FACTS_AT_A_TIME)):
        fingerprints = [fact.fingerprint.value for fact in some]
        known = set(c.scalars(_KNOWN, {"fingerprints": fingerprints}))
        new = [fact for fact in some if fact.fingerprint.value not in known]
        if not new:
            continue
        if not is_staging:
            c.execute(_STAGE)
            is_staging = True
        driver: Any = c.connection.driver_connection
        with driver.cursor() as cursor:
            copy_facts(cursor, "pg_temp.staged_evidence", new)
    if not is_staging:
        return 0
    stored = c.execute(_STORE).rowcount
    c.execute(text("drop table pg_temp.staged_evidence"))
    return stored


def copy_facts(cursor: Any, table: str, facts: Iterable[Fact]) -> None:
    """COPY the facts into a table that has their columns, in psycopg's open transaction."""
    with cursor.copy(f"copy {table} ({_COLUMNS}) from stdin") as copy:
        for fact in facts:
            copy.write_row(_row(fact))


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
