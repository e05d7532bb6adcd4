"""What must hold in every warehouse at every moment, whatever died meanwhile.

The queries of ``invariants.sql`` look at all organizations at once, as the role ``ts_checker``:
row security would hide a row that leaked. What follows one organization's rows (the audit chain,
alerts that are missing) is asked inside its scope.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import text

from thirdsentry_pipeline.warehouse.audit_chain import verify_chain
from thirdsentry_pipeline.warehouse.scope import organization_scope

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection as DatabaseConnection
    from sqlalchemy import Engine

QUERIES = Path(__file__).with_name("invariants.sql")
CHAIN = ("I7", "An organization's audit log is whole and as it was written")
ALERTS = ("I8", "Evidence that is stale for more than five minutes has its alert")
SHOWN = 10
_TITLE = re.compile(r"^-- (I\d+) (.+)$", re.MULTILINE)

_BUILT = text("select to_regclass('coverage.stale_episodes') is not null")
_UNALERTED = text("""
    select e.episode_key
    from coverage.stale_episodes as e
    where e.is_open and e.stale_at < clock_timestamp() - interval '5 minutes'
        and not exists (
            select from warehouse.alerts as a
            where a.organization_id = e.organization_id and a.episode_key = e.episode_key
        )
    order by e.episode_key
""")


@dataclass(frozen=True, slots=True)
class Invariant:
    """A promise, and the query that gives a row per breach: organization and subject."""

    name: str
    promise: str
    query: str


@dataclass(frozen=True, slots=True)
class Breach:
    """One place where an invariant does not hold."""

    name: str
    promise: str
    organization_id: str
    subject: str


@cache
def invariants() -> tuple[Invariant, ...]:
    """The queries of ``invariants.sql``, each below its name and promise."""
    parts = _TITLE.split(QUERIES.read_text(encoding="utf-8"))[1:]
    titles = zip(parts[0::3], parts[1::3], parts[2::3], strict=True)
    return tuple(Invariant(name, promise, query.strip()) for name, promise, query in titles)


def find_breaches(admin: Engine, pipeline: Engine, *, alerts: bool = True) -> list[Breach]:
    """Every breach of every invariant; empty when all hold.

    ``admin`` may act as ``ts_checker`` and is used for reading alone. Without ``alerts`` nobody
    has to have alerted yet.
    """
    with admin.connect() as c:
        c.execute(text("set transaction isolation level repeatable read, read only"))
        breaches = look(c)
        organizations = list(
            c.scalars(text("select organization_id from warehouse.organizations order by 1"))
        )
        c.rollback()
    for organization_id in organizations:
        with organization_scope(pipeline, organization_id) as c:
            report = verify_chain(c)
            if not report.is_intact:
                subject = f"audit row {report.broken_seq}: {report.problem}"
                breaches.append(Breach(*CHAIN, organization_id, subject))
            if alerts and c.scalar(_BUILT):
                breaches += [
                    Breach(*ALERTS, organization_id, f"episode {key}")
                    for key in c.scalars(_UNALERTED)
                ]
    return breaches


def look(c: DatabaseConnection) -> list[Breach]:
    """What the queries find in this transaction, which from then on can only read."""
    c.execute(text("set local role ts_checker"))
    return [breach for one in invariants() for breach in _breaches(c, one)]


def sentences(breaches: Iterable[Breach]) -> list[str]:
    """One sentence per invariant that does not hold, with its organizations and what breaks it."""
    by_promise: dict[tuple[str, str], list[Breach]] = {}
    for breach in breaches:
        by_promise.setdefault((breach.name, breach.promise), []).append(breach)
    return [
        f"{name} does not hold ({promise}): {_places(found)}."
        for (name, promise), found in sorted(by_promise.items())
    ]


def _places(found: Sequence[Breach]) -> str:
    shown = [f"organization {one.organization_id}, {one.subject}" for one in found[:SHOWN]]
    more = len(found) - len(shown)
    return "; ".join(shown) + (f"; and {more} more" if more else "")


def _breaches(c: DatabaseConnection, one: Invariant) -> list[Breach]:
    # Without parameters the driver sends the query as it stands: a % in it is only a %.
    rows = c.exec_driver_sql(one.query, execution_options={"no_parameters": True})
    return [Breach(one.name, one.promise, row[0], row[1]) for row in rows]
