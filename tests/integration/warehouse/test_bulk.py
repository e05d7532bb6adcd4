"""Bulk loads: every fact once, through every policy and check, all or nothing."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import RFC_4122

import pytest
from sqlalchemy import event
from sqlalchemy.exc import IntegrityError, OperationalError

from tests.integration.audit.waiting import until_waiting
from tests.integration.warehouse.conftest import ACCOUNT, Tenant, ok
from thirdsentry_pipeline.domain.evidence import EvidenceType, Reading, ReadStatus, Verdict
from thirdsentry_pipeline.domain.fingerprint import Fingerprint
from thirdsentry_pipeline.warehouse import bulk
from thirdsentry_pipeline.warehouse.bulk import Fact, load_evidence
from thirdsentry_pipeline.warehouse.bulk_parts import PartWriter
from thirdsentry_pipeline.warehouse.database import is_lost_connection
from thirdsentry_pipeline.warehouse.evidence import FingerprintedReading

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from uuid import UUID

    from sqlalchemy import Connection, Engine

pytestmark = pytest.mark.integration
COUNT = "select count(*) from warehouse.evidence"
TERMINATE = """
    select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid()
"""


def fact(tenant: Tenant, run_id: UUID, number: int) -> Fact:
    payload = {"number": number, "text": 'tab\t, newline\n, backslash \\N, quote " and é'}
    canonical = json.dumps(payload, sort_keys=True).encode()
    return Fact(
        connection_id=tenant.connection_id,
        account_id=ACCOUNT,
        evidence_type=EvidenceType.PASSWORD_POLICY,
        subject="account",
        verdict=Verdict.PASS,
        payload=payload,
        fingerprint=Fingerprint("fp1:" + hashlib.sha256(canonical).hexdigest(), canonical),
        schema_version=1,
        first_run_id=run_id,
    )


def load(tenant: Tenant, facts: Iterable[Fact]) -> int:
    return load_evidence(tenant.engine, tenant.organization_id, facts)


def test_a_load_stores_each_fact_once_and_a_second_one_nothing(tenant: Tenant) -> None:
    run_id = tenant.start()
    facts = [fact(tenant, run_id, number) for number in range(200)]
    assert load(tenant, facts + facts[:50]) == 200
    assert load(tenant, facts) == 0
    stored = tenant.rows("select payload, payload_canonical from warehouse.evidence")
    assert sorted(row.payload["number"] for row in stored) == list(range(200))
    assert {row.payload_canonical for row in stored} == {
        one.fingerprint.canonical.decode() for one in facts
    }


def test_each_fact_keeps_its_own_run_connection_type_and_verdict(tenant: Tenant) -> None:
    other = tenant.connect("222222222222")
    run_ids = [tenant.start(), tenant.start(), tenant.start(connection_id=other)]
    kinds = [*EvidenceType]
    facts = []
    for number in range(60):
        one = replace(
            fact(tenant, run_ids[number % 3], number),
            evidence_type=kinds[number % len(kinds)],
            verdict=Verdict.FAIL if number % 5 else Verdict.PASS,
            schema_version=1 + number % 2,
            subject=f"subject-{number % 4}",
        )
        if number % 3 == 2:
            one = replace(one, connection_id=other, account_id="222222222222")
        facts.append(one)
    assert load(tenant, facts) == 60
    stored = tenant.rows("""
        select
            first_run_id, connection_id, account_id, evidence_type, verdict, schema_version,
            subject, fingerprint
        from warehouse.evidence
    """)
    assert set(stored) == {
        (
            one.first_run_id,
            one.connection_id,
            one.account_id,
            one.evidence_type,
            one.verdict,
            one.schema_version,
            one.subject,
            one.fingerprint.value,
        )
        for one in facts
    }


def test_a_load_adds_what_is_new_to_what_a_run_brought(tenant: Tenant) -> None:
    tenant.sync(ok(EvidenceType.ROOT_MFA))
    run_id = tenant.start()
    assert load(tenant, [fact(tenant, run_id, number) for number in range(3)]) == 3
    assert load(tenant, [fact(tenant, run_id, number) for number in range(5)]) == 2
    assert tenant.rows(COUNT)[0][0] == 6


def test_facts_repeated_far_apart_are_stored_once(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "_FACTS_AT_A_TIME", 3)
    run_id = tenant.start()
    facts = [fact(tenant, run_id, number) for number in range(10)]
    assert load(tenant, facts[:4]) == 4
    assert load(tenant, [*facts, facts[9], facts[0]]) == 6
    assert tenant.rows(COUNT)[0][0] == 10


def test_a_long_archive_is_read_no_further_than_the_server_keeps_up(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "_FACTS_AT_A_TIME", 3)
    store, stored, ahead = PartWriter.store, [0], [0]

    def counted(writer: PartWriter, arrays: dict[str, list[object]]) -> int:
        stored.append(store(writer, arrays))
        return stored[-1]

    monkeypatch.setattr(PartWriter, "store", counted)
    run_id = tenant.start()

    def archive() -> Iterator[Fact]:
        for number in range(80):
            ahead.append(number + 1 - sum(stored))
            yield fact(tenant, run_id, number)

    assert load(tenant, archive()) == 80
    assert max(ahead) <= 4 * 2 * 3


def test_ids_ascend_from_fact_to_fact_and_from_load_to_load(tenant: Tenant) -> None:
    """So that two indexes grow at one place, and not all over."""
    run_id = tenant.start()
    halves: list[list[UUID]] = [[], []]
    for first in (0, 100):
        facts = [fact(tenant, run_id, number) for number in range(first, first + 100)]
        assert load(tenant, facts) == 100
        stored = tenant.rows("select fingerprint, evidence_id from warehouse.evidence order by 1")
        brought = {one.fingerprint.value for one in facts}
        for row in stored:
            if row.fingerprint in brought:
                halves[row.fingerprint[4] < "8"].append(row.evidence_id)
    for ids in halves:
        assert ids == sorted(ids)
        assert {(one.version, one.variant) for one in ids} == {(7, RFC_4122)}
    assert len({*halves[0], *halves[1]}) == 200


def test_a_row_of_half_a_page_is_kept_as_it_came(tenant: Tenant) -> None:
    one = fact(tenant, tenant.start(), 1)
    payload = {"text": "x" * 3_000}
    assert load(tenant, [replace(one, payload=payload)]) == 1
    stored = tenant.rows("select payload, pg_column_compression(payload) from warehouse.evidence")
    assert stored == [(payload, None)]


def test_what_a_few_questions_missed_is_stored_once_all_the_same(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "_ASKED_FIRST", 1)
    run_id = tenant.start()
    facts = [fact(tenant, run_id, number) for number in range(10)]
    assert load(tenant, facts[9:]) == 1
    assert load(tenant, facts) == 9
    assert tenant.rows(COUNT)[0][0] == 10


def test_an_archive_that_breaks_off_leaves_nothing(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "_FACTS_AT_A_TIME", 3)
    run_id = tenant.start()

    def broken() -> Iterator[Fact]:
        yield from (fact(tenant, run_id, number) for number in range(22))
        message = "the archive ends here"
        raise OSError(message)

    with pytest.raises(OSError, match="ends here"):
        load(tenant, broken())
    assert tenant.rows(COUNT)[0][0] == 0
    assert load(tenant, [fact(tenant, run_id, 1)]) == 1
    assert tenant.rows("show plan_cache_mode") == [("auto",)]


def test_a_server_that_dies_between_the_commits_leaves_one_half_and_a_second_load_the_other(
    tenant: Tenant, admin: Engine
) -> None:
    run_id = tenant.start()
    facts = [fact(tenant, run_id, number) for number in range(50)]
    commits = []

    def die_at_the_second(_: Connection) -> None:
        commits.append(True)
        if len(commits) == 2:
            with admin.begin() as c:
                c.exec_driver_sql(TERMINATE)

    event.listen(tenant.engine, "commit", die_at_the_second)
    with pytest.raises(OperationalError) as broken:
        load(tenant, facts)
    event.remove(tenant.engine, "commit", die_at_the_second)
    assert is_lost_connection(broken.value)
    half = tenant.rows(COUNT)[0][0]
    assert 0 < half < 50
    assert load(tenant, facts) == 50 - half


def test_loads_and_a_run_that_bring_the_same_facts_wait_for_each_other_in_one_order(
    tenant: Tenant, admin: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "_FACTS_AT_A_TIME", 3)
    first, second = tenant.start(), tenant.start()
    facts = [fact(tenant, first, number) for number in range(24)]
    # A run brings the first and the last, which are of two types.
    facts[0] = replace(facts[0], evidence_type=EvidenceType.ROOT_MFA)
    readings = [
        FingerprintedReading(
            Reading(one.evidence_type, ReadStatus.OK, one.verdict, one.payload),
            one.subject,
            one.fingerprint,
        )
        for one in (facts[0], facts[23])
    ]
    with ThreadPoolExecutor() as others:
        begun = []

        def meeting_others() -> Iterator[Fact]:
            yield from facts[:15]
            begun.append(others.submit(load, tenant, facts[::-1]))
            begun.append(others.submit(tenant.record, second, *readings))
            until_waiting(admin, 2)
            yield from facts[15:]

        assert load(tenant, meeting_others()) == 24
        assert begun[0].result() == 0
        assert [one.is_new for one in begun[1].result()] == [False, False]


def test_one_bad_row_leaves_nothing(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "_FACTS_AT_A_TIME", 3)
    run_id = tenant.start()
    facts = [fact(tenant, run_id, number) for number in range(10)]
    forged = replace(facts[3], fingerprint=Fingerprint("fp1:" + "0" * 64, b"{}"))
    with pytest.raises(IntegrityError):
        load(tenant, [*facts[:3], forged, *facts[4:]])
    assert tenant.rows(COUNT)[0][0] == 0


def test_a_connection_that_breaks_leaves_nothing_and_is_told_as_lost(
    tenant: Tenant, admin: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "_FACTS_AT_A_TIME", 3)
    run_id = tenant.start()

    def archive() -> Iterator[Fact]:
        for number in range(20):
            if number == 10:
                with admin.begin() as c:
                    c.exec_driver_sql(TERMINATE)
            yield fact(tenant, run_id, number)

    with pytest.raises(OperationalError) as broken:
        load(tenant, archive())
    assert is_lost_connection(broken.value)
    assert tenant.rows(COUNT)[0][0] == 0


def test_a_fact_of_another_organizations_run_or_account_is_refused(
    tenant: Tenant, other_tenant: Tenant
) -> None:
    foreign = other_tenant.start()
    with pytest.raises(IntegrityError):
        load(tenant, [replace(fact(tenant, foreign, 1), connection_id=other_tenant.connection_id)])
    own = tenant.start()
    with pytest.raises(IntegrityError):
        load(tenant, [replace(fact(tenant, own, 1), account_id="999999999999")])
    assert load(tenant, [fact(tenant, own, 1)]) == 1
    assert other_tenant.rows(COUNT)[0][0] == 0
