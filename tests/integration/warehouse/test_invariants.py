"""The invariants hold for what the product writes, and each finds what would break it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from psycopg.errors import InsufficientPrivilege
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from tests.databases import DatabaseServer, WarehouseDatabase
from tests.integration.warehouse.conftest import ACCOUNT, denied, make_tenant
from thirdsentry_pipeline.domain.evidence import (
    EvidenceType,
    Reading,
    ReadStatus,
    Verdict,
)
from thirdsentry_pipeline.domain.fingerprint import fingerprint_of
from thirdsentry_pipeline.warehouse import assessments, connections, runs
from thirdsentry_pipeline.warehouse.evidence import FingerprintedReading
from thirdsentry_pipeline.warehouse.invariants import find_breaches, invariants, look, sentences

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection as DatabaseConnection

pytestmark = pytest.mark.integration

MINE, THEIRS = "a" * 24, "b" * 24


def proven(kind: EvidenceType, verdict: Verdict, **payload: Any) -> FingerprintedReading:
    fingerprint = fingerprint_of(
        organization_id=MINE,
        account_id=ACCOUNT,
        evidence_type=kind,
        subject="account",
        verdict=verdict,
        payload=payload,
    )
    reported = datetime(2026, 3, 2, tzinfo=UTC)
    reading = Reading(kind, ReadStatus.OK, verdict, payload, source_generated_at=reported)
    return FingerprintedReading(reading, "account", fingerprint)


GUARDED = {
    "regions_in_scope": ["eu-west-1", "us-east-1"],
    "regions": [
        {"region": "eu-west-1", "state": "enabled"},
        {"region": "us-east-1", "state": "enabled"},
    ],
}


@pytest.fixture(scope="module")
def warehouse(postgres_server: DatabaseServer, worker_id: str) -> Iterator[WarehouseDatabase]:
    """An organization in which all that the product does has happened, beside another one."""
    database = WarehouseDatabase(postgres_server, f"invariants_{worker_id}")
    database.reset()
    tenant = make_tenant(database, MINE)
    other = make_tenant(database, THEIRS)
    guarded = proven(EvidenceType.GUARDDUTY_STATUS, Verdict.PASS, **GUARDED)
    tenant.sync(guarded, proven(EvidenceType.ROOT_MFA, Verdict.PASS, mfa_enabled=True))
    tenant.sync(guarded, proven(EvidenceType.ROOT_MFA, Verdict.FAIL, mfa_enabled=False))
    tenant.sync(guarded, denied())
    tenant.sync(denied())
    abandoned = tenant.start()
    with tenant.scope() as c:
        runs.sweep_abandoned(c, older_than=timedelta(0))
        kept = assessments.newest_evidence(c)
        assessment_id = assessments.create_assessment(c, "SOC 2", actor="zoe")
        assessments.attach(c, assessment_id, kept, actor="zoe")
        assessments.approve(c, assessment_id, actor="zoe")
        assert {run.status for run in runs.runs_of_dagster_run(c, "dagster")} == {
            "succeeded",
            "partial",
            "failed",
            "abandoned",
        }
    assert abandoned
    with other.scope() as c:
        connections.revoke_connection(c, other.connection_id)
    tenant.start()
    yield database
    database.drop()


def test_all_hold_for_what_the_product_writes(warehouse: WarehouseDatabase) -> None:
    assert find_breaches(warehouse.engine("admin"), warehouse.engine("pipeline")) == []


def test_each_invariant_is_there_under_its_name() -> None:
    names = [one.name for one in invariants()]
    assert names == ["I1", "I2", "I3", "I4", "I5", "I6", "I8", "I9", "I10", "I12"]


GOOD = "(select run_id from warehouse.connector_runs where status = 'succeeded' limit 1)"
RUNNING = "(select run_id from warehouse.connector_runs where status = 'running')"
LAST = "observed_at = (select max(observed_at) from warehouse.evidence_observations)"

# What a lost guard, a bug or a hand could do, and the invariants that must tell it.
BREAKS = {
    "a run that is under way has observations": (
        f"update warehouse.evidence_observations set run_id = {RUNNING} where {LAST}",
        "I1 I10",
    ),
    "a run says more than it read": (
        "update warehouse.connector_runs set status = 'succeeded' where status = 'partial'",
        "I1",
    ),
    "a run lost its observations": (
        f"delete from warehouse.evidence_observations where run_id = {GOOD}",
        "I1",
    ),
    "a run was lost": (f"delete from warehouse.connector_runs where run_id = {GOOD}", "I1 I3"),
    "the state is older than the observations": (
        "update warehouse.evidence_state set last_ok_at = last_ok_at - interval '1 day'",
        "I2",
    ),
    "a denied read refreshed the state": (
        (
            "update warehouse.evidence_state set last_ok_at = last_attempt_at"
            " where last_attempt_status = 'denied'"
        ),
        "I2",
    ),
    "a state was lost": ("delete from warehouse.evidence_state", "I2"),
    "the steps call a failing account passing": (
        "update warehouse.evidence_steps set failing = 0, not_passing = 0",
        "I2",
    ),
    "the steps of a connection were lost": ("delete from warehouse.evidence_steps", "I2"),
    "evidence of another organization": (
        f"update warehouse.evidence set organization_id = '{THEIRS}' where verdict = 'fail'",
        "I2 I3 I5",
    ),
    "evidence of another account": (
        "update warehouse.evidence set account_id = '222222222222'",
        "I3 I5",
    ),
    "a run of another account": (
        "update warehouse.connector_runs set account_id = '222222222222' where status = 'running'",
        "I3",
    ),
    "a pass with a region unread": (
        (
            "update warehouse.evidence_observations set regions_unread = '{eu-west-1}'"
            " where evidence_type = 'aws.guardduty.status' and read_status = 'ok'"
        ),
        "I4",
    ),
    "a pass that leaves a region out": (
        (
            "update warehouse.evidence set payload = jsonb_set(payload, '{regions}',"
            ' \'[{"region": "us-east-1", "state": "enabled"}]\')'
            " where evidence_type = 'aws.guardduty.status'"
        ),
        "I4",
    ),
    "evidence was rewritten": (
        (
            "update warehouse.evidence set payload_canonical ="
            " replace(payload_canonical, 'false', 'true') where verdict = 'fail'"
        ),
        "I5",
    ),
    "one fact twice": (
        (
            "insert into warehouse.evidence select organization_id, gen_random_uuid(), connection_id,"
            " account_id, evidence_type, subject, verdict, fingerprint, payload, payload_canonical,"
            " schema_version, first_run_id, first_observed_at from warehouse.evidence"
        ),
        "I5",
    ),
    "a run ended unaudited": ("delete from warehouse.audit_log where action = 'sync'", "I6"),
    "a run ended twice": (
        f"update warehouse.audit_log set run_id = {GOOD} where action = 'sync'",
        "I6",
    ),
    "a run that never ends": (
        (
            "update warehouse.connector_runs set started_at = now() - interval '1 hour'"
            " where status = 'running'"
        ),
        "I6",
    ),
    "a revoked connection got more": (
        (
            "update warehouse.connections set status = 'revoked', deleted_at = connected_at,"
            " credential_blob = null, key_version = null where deleted_at is null"
        ),
        "I9",
    ),
    "a revoked connection kept its secret": (
        (
            "update warehouse.connections set credential_blob = 'kept', key_version = 1"
            " where deleted_at is not null"
        ),
        "I9",
    ),
    "a read from the future": (
        (
            "update warehouse.evidence_observations set observed_at = now() + interval '1 hour'"
            f" where {LAST}"
        ),
        "I10 I2",
    ),
    "a run that ended before it began": (
        (
            "update warehouse.connector_runs set finished_at = started_at - interval '1 s'"
            " where status = 'failed'"
        ),
        "I10",
    ),
    "approved evidence was taken away": (
        (
            "delete from warehouse.assessment_evidence where evidence_id in"
            " (select evidence_id from warehouse.evidence where verdict = 'fail')"
        ),
        "I12",
    ),
}


@pytest.mark.parametrize("broken", BREAKS)
def test_what_breaks_an_invariant_is_told(warehouse: WarehouseDatabase, broken: str) -> None:
    statement, expected = BREAKS[broken]
    with warehouse.engine("admin").connect() as c:
        take_the_guards_away(c)
        changed = c.exec_driver_sql(statement, execution_options={"no_parameters": True})
        assert changed.rowcount > 0
        found = {one.name for one in look(c)}
        c.rollback()
    assert found == set(expected.split())


def take_the_guards_away(c: DatabaseConnection) -> None:
    """Drop what would refuse the sabotage; the transaction is rolled back afterwards."""
    for query in (
        (
            "select format('alter table %s disable trigger all', oid::regclass) from pg_class"
            " where relnamespace = 'warehouse'::regnamespace and relkind = 'r'"
        ),
        (
            "select format('alter table %s drop constraint if exists %I cascade', conrelid::regclass, conname)"
            " from pg_constraint where contype in ('u', 'f', 'c')"
            " and connamespace = 'warehouse'::regnamespace"
        ),
    ):
        statements = c.exec_driver_sql(query, execution_options={"no_parameters": True}).scalars()
        for statement in list(statements):
            c.exec_driver_sql(statement, execution_options={"no_parameters": True})


def test_the_sentence_names_the_invariant_the_organization_and_the_run(
    warehouse: WarehouseDatabase,
) -> None:
    with warehouse.engine("admin").connect() as c:
        take_the_guards_away(c)
        c.execute(text("update warehouse.connector_runs set started_at = '2026-01-01Z'"))
        (late,) = c.scalars(
            text("select run_id::text from warehouse.connector_runs where status = 'running'")
        )
        said = sentences(look(c))
        c.rollback()
    assert len(said) == 1
    assert said[0].startswith(
        "I6 does not hold (An ended run has one row in the audit log, and no run is under way for"
        f" 45 minutes): organization {MINE}, run {late}, begun"
    )


def test_a_broken_chain_is_a_breach(warehouse: WarehouseDatabase) -> None:
    admin = warehouse.engine("admin")
    with admin.begin() as c:
        c.execute(text("alter table warehouse.audit_log disable trigger all"))
        c.execute(text("update warehouse.audit_log set actor = 'nobody' where seq = 2"))
    try:
        (breach,) = find_breaches(admin, warehouse.engine("pipeline"))
    finally:
        with admin.begin() as c:
            c.execute(text("update warehouse.audit_log set actor = 'thirdsentry' where seq = 2"))
    assert (breach.name, breach.organization_id) == ("I7", MINE)
    assert breach.subject == "audit row 2: the row is not what was written"


@pytest.mark.parametrize(
    "forbidden",
    [
        "select credential_blob from warehouse.connections",
        "select role_arn from warehouse.connections",
        "select from warehouse.organization_data_keys",
        "select from warehouse.pending_external_ids",
        "select from warehouse.identity_claims",
        "select from warehouse.identity_secret",
        "insert into warehouse.organizations (organization_id, name) values ('c', 'c')",
        "update warehouse.connector_runs set status = 'failed'",
        "delete from warehouse.evidence_observations",
        "truncate warehouse.audit_log",
        "create table warehouse.mine (n int)",
        "create temporary table mine (n int)",
    ],
)
def test_the_checker_reads_no_secret_and_writes_nothing(
    warehouse: WarehouseDatabase, forbidden: str
) -> None:
    with warehouse.engine("admin").connect() as c:
        assert look(c) == []
        with pytest.raises(ProgrammingError) as refused:
            c.execute(text(forbidden))
    assert isinstance(refused.value.orig, InsufficientPrivilege)
