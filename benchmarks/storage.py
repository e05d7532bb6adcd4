"""Storing many facts at once, beside what Postgres can do at best: COPY into a bare table."""

from __future__ import annotations

import gc
import hashlib
import statistics
from typing import TYPE_CHECKING

import psycopg
from sqlalchemy import text

from benchmarks.accounts import sync
from benchmarks.lab import Lab, account_id, organization_id
from benchmarks.rows import Row, seconds_of
from thirdsentry_pipeline.domain.evidence import EvidenceType, Verdict
from thirdsentry_pipeline.domain.fingerprint import Fingerprint
from thirdsentry_pipeline.settings import with_database
from thirdsentry_pipeline.warehouse.bulk import Fact, feed, load_evidence
from thirdsentry_pipeline.warehouse.bulk_parts import FED
from thirdsentry_pipeline.warehouse.scope import organization_scope

if TYPE_CHECKING:
    from collections.abc import Sequence

_FIRST = 700_000
_FACTS = 100_000
_FIRST_LOAD, _DUPLICATES = 0.6, 0.95
# The columns of the evidence table, with nothing that costs: no key, index, check or trigger.
_PLAIN = "create table public.plain_evidence (like warehouse.evidence)"
_COPY = f"copy public.plain_evidence ({', '.join(FED)}) from stdin"
_UNFED = ("organization_id", "evidence_id", "first_observed_at")
_COLLECTED = text("select * from warehouse.evidence order by evidence_type")


def dedupe_write(lab: Lab, repetitions: int) -> list[Row]:
    """First load and all duplicates of 100,000 facts, in turns with COPY by the same feeder."""
    plain, first, again = [], [], []
    with psycopg.connect(admin_url(lab), autocommit=True) as admin:
        admin.execute(_PLAIN)
        for name in _UNFED:
            admin.execute(f"alter table public.plain_evidence alter {name} drop not null")
        for number in range(repetitions):
            organization = organization_id(_FIRST + number)
            facts = make_facts(lab, organization, _FIRST + number)
            gc.collect()
            plain.append(seconds_of(lambda: _copy(admin, facts)))  # noqa: B023
            first.append(seconds_of(lambda: _load(lab, organization, facts, _FACTS)))  # noqa: B023
            plain.append(seconds_of(lambda: _copy(admin, facts)))  # noqa: B023
            again.append(seconds_of(lambda: _load(lab, organization, facts, 0)))  # noqa: B023
        admin.execute("drop table public.plain_evidence")
    bare = statistics.median(plain)
    return [
        _row("first load", bare, statistics.median(first), _FIRST_LOAD),
        _row("all duplicates", bare, statistics.median(again), _DUPLICATES),
    ]


def _row(what: str, bare: float, took: float, reach: float) -> Row:
    rates = f"{_FACTS / took:,.0f} of {_FACTS / bare:,.0f} rows a second"
    return Row(
        f"dedupe write of {_FACTS:,} rows, {what}, beside raw COPY by the same feeder",
        f"{bare / took:.2f} ({rates})",
        f"≥ {reach}",
        bare / took >= reach,
    )


def make_facts(lab: Lab, organization: str, number: int) -> list[Fact]:
    """Distinct facts of one connection, in the mix and the sizes of a collected account."""
    account = account_id(number)
    connection_id = lab.connect(organization, [account])[0]
    sync(lab, organization)
    with organization_scope(lab.services.pipeline, organization) as database:
        collected = database.execute(_COLLECTED).all()
        run_id = collected[0].first_run_id
    facts = []
    for one in range(_FACTS):
        row = collected[one % len(collected)]
        # Behind the last key, so the bytes stay in canonical order.
        canonical = f'{row.payload_canonical[:-1]},"~":{one}}}'.encode()
        facts.append(
            Fact(
                connection_id=connection_id,
                account_id=account,
                evidence_type=EvidenceType(row.evidence_type),
                subject=row.subject,
                verdict=Verdict(row.verdict),
                payload={**row.payload, "~": one},
                fingerprint=Fingerprint("fp1:" + hashlib.sha256(canonical).hexdigest(), canonical),
                schema_version=row.schema_version,
                first_run_id=run_id,
            )
        )
    return facts


def _copy(admin: psycopg.Connection, facts: Sequence[Fact]) -> None:
    with admin.transaction(), admin.cursor() as cursor:
        cursor.execute("truncate public.plain_evidence")
        with cursor.copy(_COPY) as copy:
            for fact in facts:
                copy.write_row(feed(fact))


def _load(lab: Lab, organization: str, facts: Sequence[Fact], expected: int) -> None:
    stored = load_evidence(lab.services.pipeline, organization, facts)
    if stored != expected:
        message = f"{stored} facts were stored, not {expected}"
        raise RuntimeError(message)


def admin_url(lab: Lab) -> str:
    """The superuser's URL of the warehouse's database."""
    return with_database(lab.settings.login_url("admin"), lab.settings.warehouse_database)
