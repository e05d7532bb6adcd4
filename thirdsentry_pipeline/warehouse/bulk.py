"""Loading many facts of one organization at once: imports, backfills, restored archives.

The facts go a thousand at a time, as one array for each column, in statements that pass every
policy, check and key: COPY into a table under row security is refused, and a temporary table
between would have each row written twice. Two sessions store half of the facts each, for the
server has more to do than the client and does a session's work on one core. Each has a thread,
which makes a part of its half ready to send, to the last byte, while the server stores one of the
other; few are held at once, however long the archive is. A fact that is known already stays as it
is.

No command calls it: a run brings seven facts of one account, which `evidence.record_readings`
stores in one statement, and runs of several organizations share no transaction. This is the door
for whoever moves an archive in.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain, islice
from random import getrandbits
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import text

from thirdsentry_pipeline.warehouse.bulk_parts import FED, SHARED, PartWriter
from thirdsentry_pipeline.warehouse.connections import lock_connections
from thirdsentry_pipeline.warehouse.scope import organization_scope

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from concurrent.futures import Future
    from uuid import UUID

    from sqlalchemy import Connection as DatabaseConnection
    from sqlalchemy import Engine

    from thirdsentry_pipeline.domain.evidence import EvidenceType, Verdict
    from thirdsentry_pipeline.domain.fingerprint import Fingerprint


@dataclass(frozen=True, slots=True)
class Fact:
    """A proven fact and the run that brought it; its observation is written elsewhere.

    The fingerprint is `fingerprint_of` this very payload, which refuses what JSON can't say, such
    as NaN: it is not asked again here, and `doctor --deep` compares the two.
    """

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
_PLAN_FOR_ANY = text("select set_config('plan_cache_mode', 'force_generic_plan', true)")


def load_evidence(pipeline: Engine, organization_id: str, facts: Iterable[Fact]) -> int:
    """Store the facts nobody saw before; how many those were.

    The organization's runs and connections exist. All of its connections are locked until the
    load ends: its runs, and other loads, wait, and fail when that takes longer than a lock may
    (15 s): load more than 100,000 facts at several times.
    Whatever is raised, by ``facts`` too, leaves none of them behind. Each half is a transaction
    and both commit at the end: a server that dies between the two leaves one half, and the same
    load again stores the other.
    """
    stored = 0
    with ExitStack() as scopes:
        first, second = (
            scopes.enter_context(organization_scope(pipeline, organization_id)) for _ in range(2)
        )
        # Whoever writes evidence holds its connection: so no two wait for each other's facts,
        # in whatever order those come.
        lock_connections(first)
        threads = scopes.enter_context(ThreadPoolExecutor(max_workers=2))
        lower, upper = _Session(first, threads), _Session(second, threads)
        for some in _halves(facts):
            stored += lower.finish()
            lower.begin(some.lower)
            stored += upper.finish()
            upper.begin(some.upper)
        stored += lower.finish()
        stored += upper.finish()
    return stored


def feed(fact: Fact) -> tuple[object, ...]:
    """The fact's values of the columns ``FED``."""
    return (
        fact.connection_id,
        fact.account_id,
        str(fact.evidence_type),
        fact.subject,
        str(fact.verdict),
        fact.schema_version,
        fact.first_run_id,
        fact.fingerprint.value,
        orjson.dumps(fact.payload).decode(),
        fact.fingerprint.canonical.decode(),
    )


@dataclass(frozen=True, slots=True)
class _Halves:
    """Facts by their fingerprints: the same fact is always in the same half.

    So no session waits for what the other has not committed.
    """

    lower: list[Fact]
    upper: list[Fact]


def _halves(facts: Iterable[Fact]) -> Iterator[_Halves]:
    """As many as two sessions take at a time."""
    remaining = iter(facts)
    while some := list(islice(remaining, 2 * _FACTS_AT_A_TIME)):
        halves = _Halves([], [])
        for fact in some:
            is_lower = _digest(fact.fingerprint.value) < "8"
            (halves.lower if is_lower else halves.upper).append(fact)
        yield halves


class _Session:
    """What stores one half, in a transaction and a thread of its own."""

    def __init__(self, c: DatabaseConnection, threads: ThreadPoolExecutor) -> None:
        self._c = c
        c.execute(_PLAN_FOR_ANY)
        self._threads = threads
        self._writer = PartWriter(c)
        self._begun: Future[int] | None = None

    def begin(self, some: list[Fact]) -> None:
        """Let them be stored; until ``finish`` the connection is the thread's."""
        self._begun = self._threads.submit(self._store, some)

    def finish(self) -> int:
        """How many were stored of those begun last."""
        return self._begun.result() if self._begun else 0

    def _store(self, some: list[Fact]) -> int:
        return self._writer.store(_arrays(some, _known(self._c, some)))


def _arrays(some: list[Fact], known: set[str]) -> dict[str, list[object]]:
    """The columns of those that are not known, each once; sorted, to walk the indexes in step."""
    new: dict[str, Fact] = {}
    for fact in some:
        if fact.fingerprint.value not in known:
            new.setdefault(fact.fingerprint.value, fact)
    if not new:
        return {}
    values = sorted(new)
    rows = [feed(new[value]) for value in values]
    shared: dict[tuple[object, ...], int] = {}
    places = [shared.setdefault(row[: len(SHARED)], len(shared) + 1) for row in rows]
    columns = chain(
        zip(*shared, strict=True), zip(*(row[len(SHARED) :] for row in rows), strict=True)
    )
    arrays = dict(zip(FED, map(list, columns), strict=True))
    return {**arrays, "place": places, "evidence_id": _ascending_ids(len(values))}


def _ascending_ids(count: int) -> list[str]:
    """UUIDs of version 7 (RFC 9562): the time to a quarter of a microsecond, then a counter.

    Others scatter over two indexes, and leave their pages half full.
    """
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    moment = f"{milliseconds:012x}7{rest * 4096 // 1_000_000:03x}"
    return [f"{moment}{2 << 62 | number << 46 | getrandbits(46):016x}" for number in range(count)]


def _digest(fingerprint: str) -> str:
    return fingerprint.partition(":")[2]


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
