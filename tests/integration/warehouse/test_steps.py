"""The steps in which evidence goes stale: told from the state, with it, whoever writes it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.integration.lifecycle.test_revoking import until
from tests.integration.warehouse.conftest import Tenant, denied, ok
from tests.integration.warehouse.older_database import database_at
from thirdsentry_pipeline.domain.evidence import EvidenceType, Verdict
from thirdsentry_pipeline.warehouse.migrate import upgrade

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

    from tests.databases import WarehouseDatabase

pytestmark = pytest.mark.integration

STEPS = "select true_at, true_since, failing, not_passing from warehouse.evidence_steps"
LAST = "select evidence_type, last_ok_at from warehouse.evidence_state where last_ok_at is not null"
WAITS = """
    select count(*) from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock'
"""
BITS = {kind: 1 << place for place, kind in enumerate(EvidenceType)}
ALL = reduce(or_, BITS.values())


def hours_ago(hours: float) -> datetime:
    return datetime.now(UTC) - timedelta(hours=hours)


def test_each_evidence_type_of_the_code_has_a_bit_of_its_own(tenant: Tenant) -> None:
    for kind, bit in BITS.items():
        assert tenant.rows("select warehouse.evidence_bit(:kind)", kind=kind) == [(bit,)]
    assert tenant.rows("select warehouse.evidence_bit('aws.x')") == [(None,)]


def test_steps_are_those_of_the_reads_oldest_first(tenant: Tenant) -> None:
    reads = {
        EvidenceType.MFA_COVERAGE: (hours_ago(3), Verdict.FAIL),
        EvidenceType.ROOT_MFA: (hours_ago(5), Verdict.PASS),
        EvidenceType.PASSWORD_POLICY: (hours_ago(1), Verdict.NOT_APPLICABLE),
    }
    tenant.sync(*(ok(kind, verdict, moment) for kind, (moment, verdict) in reads.items()))
    root, users, policy = (
        BITS[EvidenceType.ROOT_MFA],
        BITS[EvidenceType.MFA_COVERAGE],
        BITS[EvidenceType.PASSWORD_POLICY],
    )
    assert tenant.rows(STEPS) == [
        (
            sorted(moment for moment, _ in reads.values()),
            [root | users | policy, users | policy, policy],
            users,
            users | policy,
        )
    ]


def test_types_that_were_true_at_one_moment_are_a_step_together(tenant: Tenant) -> None:
    moment = hours_ago(2)
    tenant.sync(
        ok(EvidenceType.ROOT_MFA, source_generated_at=moment),
        ok(EvidenceType.MFA_COVERAGE, source_generated_at=moment),
    )
    both = BITS[EvidenceType.ROOT_MFA] | BITS[EvidenceType.MFA_COVERAGE]
    assert tenant.rows(STEPS) == [([moment, moment], [both, both], 0, 0)]


def test_a_good_read_moves_its_own_step_alone_and_a_failed_one_none(tenant: Tenant) -> None:
    first = hours_ago(9)
    tenant.sync(*(ok(kind, Verdict.FAIL, first) for kind in EvidenceType))
    later = hours_ago(4)
    tenant.sync(ok(EvidenceType.GUARDDUTY_STATUS, Verdict.PASS, later))
    moved = BITS[EvidenceType.GUARDDUTY_STATUS]
    expected = [([first] * 6 + [later], [ALL] * 6 + [moved], ALL - moved, ALL - moved)]
    assert tenant.rows(STEPS) == expected
    before = tenant.rows("select xmin::text from warehouse.evidence_steps")
    tenant.sync(*(denied(kind) for kind in EvidenceType))
    assert tenant.rows(STEPS) == expected
    # What did not change was not written either.
    assert tenant.rows("select xmin::text from warehouse.evidence_steps") == before


def test_an_account_that_was_never_read_well_has_no_step(tenant: Tenant) -> None:
    tenant.sync(*(denied(kind) for kind in EvidenceType))
    assert tenant.rows(STEPS) == [([], [], 0, 0)]


def test_a_type_that_coverage_knows_nothing_of_takes_no_step(tenant: Tenant, admin: Engine) -> None:
    tenant.sync(ok())
    before = tenant.rows(STEPS)
    with admin.begin() as c:
        c.exec_driver_sql("set session_replication_role = replica")
        c.exec_driver_sql(
            "insert into warehouse.evidence_state (organization_id, connection_id, evidence_type,"
            " evidence_id, verdict, fingerprint, last_ok_at, last_attempt_at, last_attempt_status)"
            " select organization_id, connection_id, 'aws.x', evidence_id, verdict, fingerprint,"
            " now(), now(), 'ok' from warehouse.evidence_state"
        )
    assert tenant.rows(STEPS) == before


@pytest.mark.parametrize("role", ["origin", "replica"])
@pytest.mark.parametrize(
    "statement",
    [
        "update warehouse.evidence_state set last_ok_at = last_ok_at - interval '1 day'",
        "update warehouse.evidence_state set verdict = 'fail' where evidence_type like '%guard%'",
        "delete from warehouse.evidence_state where evidence_type = 'aws.iam.root_mfa'",
        "delete from warehouse.evidence_state",
    ],
)
def test_steps_follow_whoever_writes_the_state(
    tenant: Tenant, admin: Engine, statement: str, role: str
) -> None:
    """A superuser's hand and a replica's apply worker included."""
    tenant.sync(*(ok(kind, source_generated_at=hours_ago(place)) for place, kind in number()))
    before = tenant.rows(STEPS)
    with admin.begin() as c:
        c.exec_driver_sql(f"set session_replication_role = {role}")
        c.execution_options(no_parameters=True).exec_driver_sql(statement)
    assert tenant.rows(STEPS) != before
    assert [step[0] for step in tenant.rows(STEPS)] == [
        sorted(moment for _, moment in tenant.rows(LAST))
    ]


def number() -> list[tuple[int, EvidenceType]]:
    return list(enumerate(EvidenceType, start=1))


def test_of_two_writers_at_once_neither_loses_the_other_s_step(
    tenant: Tenant, admin: Engine, clean_database: WarehouseDatabase
) -> None:
    """The second one read its rows before the first one committed."""
    tenant.sync(*(ok(kind, source_generated_at=hours_ago(30)) for kind in EvidenceType))
    refresh = "update warehouse.evidence_state set last_ok_at = %s where evidence_type = %s"
    moments = {EvidenceType.ROOT_MFA: hours_ago(2), EvidenceType.MFA_COVERAGE: hours_ago(1)}
    first, second = moments.items()
    with ThreadPoolExecutor(1) as pool:
        with psycopg.connect(clean_database.admin_url) as one:
            one.execute(refresh, (first[1], first[0]))
            other = pool.submit(execute, clean_database.admin_url, refresh, (second[1], second[0]))
            until(waiting(admin))
        other.result()
    (steps,) = tenant.rows(STEPS)
    assert steps[0][-2:] == [moments[EvidenceType.ROOT_MFA], moments[EvidenceType.MFA_COVERAGE]]


def execute(url: str, statement: str, values: tuple[Any, ...]) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(statement, values)  # type: ignore[call-overload] # a test's SQL


def waiting(admin: Engine) -> Callable[[], bool]:
    def is_waiting() -> bool:
        with admin.connect() as c:
            return c.exec_driver_sql(WAITS).scalar() == 1

    return is_waiting


def test_what_was_collected_before_the_steps_has_them_after_migrating(
    clean_database: WarehouseDatabase,
) -> None:
    """A filled database of the revision before: two accounts, one of them never read well."""
    with (
        database_at(clean_database.server, "0008") as url,
        psycopg.connect(url, autocommit=True) as admin,
    ):
        admin.execute("set session_replication_role = replica")
        admin.execute("""
            insert into warehouse.organizations (organization_id, name)
            values (repeat('a', 24), 'Acme'), (repeat('b', 24), 'Bare');
            insert into warehouse.connections (organization_id, connection_id, account_id,
              role_arn, credential_blob, key_version)
            values
              (repeat('a', 24), md5('c')::uuid, '111111111111',
                'arn:aws:iam::111111111111:role/x', '', 1),
              (repeat('b', 24), md5('d')::uuid, '222222222222',
                'arn:aws:iam::222222222222:role/x', '', 1);
            insert into warehouse.evidence_state (organization_id, connection_id,
              evidence_type, evidence_id, verdict, fingerprint, last_ok_at, last_attempt_at,
              last_attempt_status)
            values
              (repeat('a', 24), md5('c')::uuid, 'aws.iam.mfa_coverage', md5('e')::uuid, 'fail',
                'f', '2026-03-02 00:00Z', now(), 'ok'),
              (repeat('a', 24), md5('c')::uuid, 'aws.iam.root_mfa', md5('f')::uuid, 'pass',
                'f', '2026-03-01 00:00Z', now(), 'ok'),
              (repeat('b', 24), md5('d')::uuid, 'aws.iam.root_mfa', null, null, null, null,
                now(), 'denied')
        """)
        upgrade(url)
        columns = "organization_id, true_at, true_since, failing, not_passing"
        found = admin.execute(f"select {columns} from warehouse.evidence_steps order by 1")
        moments = [datetime(2026, 3, day, tzinfo=UTC) for day in (1, 2)]
        assert found.fetchall() == [
            ("a" * 24, moments, [3, 2], 2, 2),
            ("b" * 24, [], [], 0, 0),
        ]
