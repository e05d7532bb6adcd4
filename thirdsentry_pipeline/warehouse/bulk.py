"""Loading many facts of one organization at once: imports, backfills, restored archives.

The facts go a thousand at a time, as one array for each column, in statements that pass every
policy, check and key: COPY into a table under row security is refused, and a temporary table
between would have each row written twice. While the server stores some, the client makes the
next ones ready to send, to the last byte; few are held at once, however long the archive is. A
fact that is known already stays as it is.

No command calls it: a run brings seven facts of one account, which `evidence.record_readings`
stores in one statement, and runs of several organizations share no transaction. This is the door
for whoever moves an archive in.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import text

from thirdsentry_pipeline.warehouse.bulk_parts import FED, PartWriter
from thirdsentry_pipeline.warehouse.connections import lock_connections

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

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


# Of more at once, the server gives their memory back and gets it anew each time; of fewer, it
# waits more often.
_FACTS_AT_A_TIME = 1_000
_ASKED_FIRST = 25

# "offset 0" keeps it one look into the unique index per fingerprint: without statistics on the
# organization the planner takes reading all of its evidence, for every question, to be cheaper.
_KNOWN = """
    select asked.fingerprint
    from unnest(cast(%(fingerprints)b as text[])) as asked (fingerprint)
    cross join lateral (
        select from warehouse.evidence as known
        where known.organization_id = (select warehouse.require_organization())
            and known.fingerprint = asked.fingerprint
        offset 0
    ) as found
"""
# A plan for these very arrays would hold them as constants, and copy megabytes of them.
_PLAN_FOR_ANY = text("""
    select
        current_setting('plan_cache_mode'),
        set_config('plan_cache_mode', 'force_generic_plan', true)
""")
_PLAN_AS_BEFORE = text("select set_config('plan_cache_mode', :planning, true)")


def load_evidence(c: DatabaseConnection, facts: Iterable[Fact]) -> int:
    """Store the facts nobody saw before, in the caller's transaction; how many those were.

    The caller has entered an organization's scope, and its runs and connections exist. All of
    its connections are locked until the transaction ends: its runs, and other loads, wait, and
    fail when that takes longer than a lock may (15 s): load more than 100,000 facts in several
    transactions.
    Whatever is raised, by ``facts`` too, leaves none of them behind.
    """
    remaining = iter(facts)
    stored = 0
    with c.begin_nested(), ThreadPoolExecutor(max_workers=1) as sender:
        # Whoever writes evidence holds its connection: so no two wait for each other's facts,
        # in whatever order those come.
        lock_connections(c)
        planning: str = c.execute(_PLAN_FOR_ANY).scalar_one()
        writer = PartWriter(c, sender)
        some, later = _take(remaining), _take(remaining)
        known = _known(c, some)
        while some:
            part = writer.prepare(_arrays(some, known))
            stored += writer.finish()
            known = _known(c, later)
            writer.begin(part)
            some, later = later, _take(remaining)
        stored += writer.finish()
        c.execute(_PLAN_AS_BEFORE, {"planning": planning})
    return stored


def feed(fact: Fact) -> tuple[object, ...]:
    """The fact's values of the columns ``FED``."""
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


def _take(remaining: Iterator[Fact]) -> list[Fact]:
    return list(islice(remaining, _FACTS_AT_A_TIME))


def _arrays(some: list[Fact], known: set[str]) -> dict[str, list[object]]:
    """The columns of those that are not known, each once; sorted, to walk the indexes in step."""
    new: dict[str, Fact] = {}
    for fact in some:
        if fact.fingerprint.value not in known:
            new.setdefault(fact.fingerprint.value, fact)
    if not new:
        return {}
    values = sorted(new)
    columns = zip(*(feed(new[value]) for value in values), strict=True)
    arrays = dict(zip(FED, map(list, columns), strict=True))
    return {**arrays, "evidence_id": [_evidence_id(value) for value in values]}


def _evidence_id(fingerprint: str) -> UUID:
    """A UUID of version 8: random ones cost more and scatter over two indexes."""
    digest = fingerprint.partition(":")[2]
    return UUID(f"{digest[:12]}8{digest[13:16]}8{digest[17:32]}")


def _known(c: DatabaseConnection, facts: list[Fact]) -> set[str]:
    """The fingerprints that are known; none when none of a few is, which is no promise."""
    fingerprints = [fact.fingerprint.value for fact in facts]
    few = fingerprints[:: len(fingerprints) // _ASKED_FIRST + 1]
    if not _asked(c, few):
        return set()
    return _asked(c, fingerprints)


def _asked(c: DatabaseConnection, fingerprints: list[str]) -> set[str]:
    if not fingerprints:
        return set()
    return set(c.exec_driver_sql(_KNOWN, {"fingerprints": fingerprints}).scalars())
