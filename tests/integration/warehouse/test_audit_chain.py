"""The audit log: appended by anyone, ordered and signed by the database, checked by Python."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from thirdsentry_pipeline.warehouse import audit
from thirdsentry_pipeline.warehouse.audit_chain import Anchor, verify_chain

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from tests.integration.warehouse.conftest import Tenant

pytestmark = pytest.mark.integration


def append(tenant: Tenant, number: int) -> None:
    with tenant.scope() as c:
        audit.append(
            c,
            "connect",
            actor="Zoë, \n'quoted'",
            connection_id=tenant.connection_id if number % 2 else None,
            detail={"number": number, "b": None, "a": [1.0, "ü"]},
        )


@pytest.fixture
def chained(tenant: Tenant) -> Tenant:
    """An organization whose log has eight rows."""
    for number in range(8):
        append(tenant, number)
    return tenant


def verify(tenant: Tenant, *anchors: Anchor) -> audit.ChainReport:
    with tenant.scope() as c:
        return verify_chain(c, anchors)


def tamper(admin: Engine, *statements: str) -> None:
    """Change the log as only a superuser can: with every trigger off."""
    with admin.begin() as c:
        for table in ("audit_log", "audit_heads"):
            c.execute(text(f"alter table warehouse.{table} disable trigger user"))
        for statement in statements:
            c.execute(text(statement))
        for table, triggers in {
            "audit_log": ("audit_chain", "append_only"),
            "audit_heads": ("never_deleted",),
        }.items():
            for trigger in triggers:
                c.execute(text(f"alter table warehouse.{table} enable always trigger {trigger}"))


def test_python_and_the_database_agree_on_every_hash(chained: Tenant) -> None:
    report = verify(chained)
    assert report.is_intact
    assert (report.rows, report.first_seq, report.seq) == (8, 1, 8)


def test_an_empty_log_is_intact(tenant: Tenant) -> None:
    assert verify(tenant).is_intact


def test_eight_writers_leave_no_gap(tenant: Tenant) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: append(tenant, number), range(40)))
    assert verify(tenant).is_intact
    assert verify(tenant).rows == 40


def test_a_rolled_back_row_leaves_no_gap(chained: Tenant) -> None:
    with chained.scope() as c:
        audit.append(c, "connect", detail={})
        c.rollback()
    append(chained, 9)
    assert verify(chained).is_intact


def test_a_row_that_conflicts_leaves_no_gap(chained: Tenant) -> None:
    with chained.scope() as c:
        c.execute(
            text(
                "insert into warehouse.audit_log (actor, action) values ('a', 'connect') on conflict do nothing"
            )
        )
    append(chained, 9)
    assert verify(chained).is_intact


def test_organizations_have_chains_of_their_own(chained: Tenant, other_tenant: Tenant) -> None:
    append(other_tenant, 1)
    assert verify(other_tenant).seq == 1
    assert verify(chained).seq == 8


def test_a_run_ends_once_in_the_log(tenant: Tenant) -> None:
    run_id = tenant.start()
    with tenant.scope() as c:
        audit.append(c, "sync", run_id=run_id, detail={})
    with pytest.raises(IntegrityError, match="already in the audit log"), tenant.scope() as c:
        audit.append(c, "sync_failed", run_id=run_id, detail={})


@pytest.mark.parametrize(
    "statement",
    [
        "update warehouse.audit_log set actor = 'x'",
        "delete from warehouse.audit_log",
        "truncate warehouse.audit_log",
        "update warehouse.audit_log set actor = 'x' where false",
        "delete from warehouse.audit_heads",
    ],
)
def test_even_a_superuser_is_refused_while_the_triggers_stand(
    chained: Tenant, admin: Engine, statement: str
) -> None:
    with pytest.raises(DBAPIError, match="append-only"), admin.begin() as c:
        c.execute(text(f"set local session_replication_role = replica; {statement}"))


@pytest.mark.parametrize("column", ["seq", "occurred_at", "db_user", "prev_hash", "row_hash"])
def test_the_writer_cannot_name_what_the_trigger_decides(tenant: Tenant, column: str) -> None:
    with pytest.raises(DBAPIError, match="permission denied"), tenant.scope() as c:
        c.execute(
            text(
                f"insert into warehouse.audit_log (actor, action, {column})"
                " values ('a', 'connect', default)"
            )
        )


def test_the_pipeline_cannot_forge_a_checkpoint(tenant: Tenant) -> None:
    with pytest.raises(DBAPIError, match="row-level security"), tenant.scope() as c:
        c.execute(
            text(
                "insert into warehouse.audit_log (actor, action) values ('a', 'retention_checkpoint')"
            )
        )


@pytest.mark.parametrize(
    ("statements", "broken_seq"),
    [
        (["update warehouse.audit_log set detail = '{}' where seq = 5"], 5),
        (["update warehouse.audit_log set actor = 'x' where seq = 1"], 1),
        (
            [
                (
                    "update warehouse.audit_log set occurred_at = occurred_at"
                    " + interval '1 microsecond' where seq = 4"
                )
            ],
            4,
        ),
        (["update warehouse.audit_log set connection_id = null where seq = 2"], 2),
        (["delete from warehouse.audit_log where seq = 6"], 6),
        (["delete from warehouse.audit_log where seq = 1"], 1),
        (["delete from warehouse.audit_log where seq >= 7"], 7),
        (
            [
                "update warehouse.audit_log set seq = 100 where seq = 3",
                "update warehouse.audit_log set seq = 3 where seq = 4",
                "update warehouse.audit_log set seq = 4 where seq = 100",
            ],
            3,
        ),
        (
            [
                "update warehouse.audit_log set detail = '{}' where seq = 3",
                "update warehouse.audit_log set row_hash = repeat('0', 64) where seq = 3",
            ],
            3,
        ),
        (["delete from warehouse.audit_log"], 1),
        (["delete from warehouse.audit_heads"], 9),
    ],
    ids=[
        "edit",
        "first",
        "microsecond",
        "null",
        "delete",
        "cut head",
        "cut tail",
        "swap",
        "re-hash",
        "all",
        "no head",
    ],
)
def test_tampering_is_found_at_the_first_bad_row(
    chained: Tenant, admin: Engine, statements: list[str], broken_seq: int
) -> None:
    tamper(admin, *statements)
    report = verify(chained)
    assert report.broken_seq == broken_seq, report.problem


def test_a_cut_tail_with_a_repaired_head_is_found_by_the_anchor(
    chained: Tenant, admin: Engine
) -> None:
    anchor = Anchor(8, verify(chained).row_hash)
    tamper(
        admin,
        "delete from warehouse.audit_log where seq >= 7",
        "update warehouse.audit_heads set (seq, row_hash) ="
        " (select seq, row_hash from warehouse.audit_log order by seq desc limit 1)",
    )
    assert verify(chained).is_intact, "nothing inside the database can tell"
    assert verify(chained, anchor).broken_seq == 7


def test_a_rewritten_chain_is_found_by_the_anchor(chained: Tenant, admin: Engine) -> None:
    anchor = Anchor(8, verify(chained).row_hash)
    tamper(admin, "delete from warehouse.audit_log", "delete from warehouse.audit_heads")
    for number in range(8):
        append(chained, number + 100)
    assert verify(chained).is_intact, "nothing inside the database can tell"
    assert verify(chained, anchor).broken_seq == 8
    assert verify(chained, Anchor(8, verify(chained).row_hash)).is_intact
