"""A log changed by a superuser is found, at the first row that is not what was written."""

import pytest

from tests.integration.audit.chains import REPAIRED_HEAD, lengthen, rewrite, tamper
from thirdsentry_pipeline.operations.audit import broken_sentence, verify_organization

pytestmark = pytest.mark.integration

LATER = "update warehouse.audit_log set occurred_at = occurred_at + interval '1 microsecond'"
MOVE = "update warehouse.audit_log set seq = {} where seq = {}"
FOUND_INSIDE = {
    "edit": (["update warehouse.audit_log set actor = 'mallory' where seq = 5"], 5),
    "one microsecond": (
        [f"{LATER} where seq = 4"],
        4,
    ),
    "delete": (["delete from warehouse.audit_log where seq = 6"], 6),
    "swap": ([MOVE.format(100, 2), MOVE.format(2, 7), MOVE.format(7, 100)], 2),
    "cut head": (["delete from warehouse.audit_log where seq <= 3"], 1),
    "cut tail": (["delete from warehouse.audit_log where seq >= 7"], 7),
    "edit with its own hash": (
        [
            "update warehouse.audit_log set detail = '{}' where seq = 6",
            "update warehouse.audit_log set row_hash = repeat('a', 64) where seq = 6",
        ],
        6,
    ),
}
CUT_TAIL_AND_REPAIR = ["delete from warehouse.audit_log where seq >= 7", REPAIRED_HEAD]


def verify(tenant, bucket=None):
    return verify_organization(tenant.engine, tenant.organization_id, bucket)


def test_an_untouched_log_agrees_with_its_anchors(anchored, bucket):
    found = verify(anchored, bucket)
    assert found.chain.is_intact
    assert (found.chain.rows, found.anchors) == (8, 2)
    lengthen(anchored, 1)
    assert verify(anchored, bucket).chain.is_intact


@pytest.mark.parametrize("attack", FOUND_INSIDE)
def test_a_changed_log_is_found_with_and_without_anchors(anchored, bucket, admin, attack):
    statements, first_bad = FOUND_INSIDE[attack]
    tamper(admin, *statements)
    alone, with_anchors = verify(anchored).chain, verify(anchored, bucket).chain
    assert (alone.broken_seq, with_anchors.broken_seq) == (first_bad, first_bad)
    sentence = broken_sentence(anchored.organization_id, with_anchors)
    assert anchored.organization_id in sentence
    assert f"number {first_bad}:" in sentence


def test_a_cut_tail_with_a_repaired_head_is_found_by_the_anchor_alone(anchored, bucket, admin):
    tamper(admin, *CUT_TAIL_AND_REPAIR)
    assert verify(anchored).chain.is_intact, "nothing inside the database can tell"
    found = verify(anchored, bucket).chain
    assert (found.broken_seq, found.problem) == (7, "the row was anchored and is gone")


def test_a_cut_tail_that_grew_again_is_found_by_the_anchor_alone(anchored, bucket, admin):
    tamper(admin, *CUT_TAIL_AND_REPAIR)
    lengthen(anchored, 4)
    assert verify(anchored).chain.is_intact
    assert verify(anchored, bucket).chain.broken_seq == 8


@pytest.mark.parametrize(("from_seq", "anchored_seq"), [(1, 3), (4, 8)])
def test_a_rewritten_log_is_found_at_the_first_anchored_row(
    anchored, bucket, admin, from_seq, anchored_seq
):
    rewrite(admin, anchored, from_seq)
    assert verify(anchored).chain.is_intact, "nothing inside the database can tell"
    found = verify(anchored, bucket).chain
    assert found.broken_seq == anchored_seq
    assert found.problem == "the row is not the one that was anchored"


def test_a_wiped_log_is_found_by_the_anchor(anchored, bucket, admin):
    tamper(admin, "delete from warehouse.audit_log", "delete from warehouse.audit_heads")
    assert verify(anchored).chain.is_intact
    assert verify(anchored, bucket).chain.broken_seq == 1


def test_a_forged_checkpoint_does_not_excuse_rows_that_are_still_to_be_kept(
    anchored, bucket, admin
):
    forged = (
        "insert into warehouse.audit_log (organization_id, actor, action, detail)"
        " select organization_id, 'mallory', 'retention_checkpoint', jsonb_build_object("
        "'pruned_through_seq', seq, 'pruned_through_hash', row_hash)"
        " from warehouse.audit_log where seq = 4"
    )
    with admin.begin() as c:
        c.exec_driver_sql(f"set local app.organization_id = '{anchored.organization_id}'")
        c.exec_driver_sql(forged)
    tamper(admin, "delete from warehouse.audit_log where seq <= 4")
    assert verify(anchored).chain.is_intact, "nothing inside the database can tell"
    found = verify(anchored, bucket).chain
    assert (found.broken_seq, found.problem) == (3, "the row was removed before its time")


def test_rows_anchored_while_a_log_is_verified_are_no_false_alarm(anchored, anchoring, monkeypatch):
    read_all = anchoring.bucket.read_all

    def grow_and_read(organization_id):
        lengthen(anchored, 1)
        assert anchoring.one(anchored).is_new
        return read_all(organization_id)

    monkeypatch.setattr(anchoring.bucket, "read_all", grow_and_read)
    found = verify(anchored, anchoring.bucket)
    assert found.chain.is_intact
    assert found.anchors == 3


def test_another_organizations_anchors_do_not_count(anchored, other_tenant, bucket):
    lengthen(other_tenant, 3)
    found = verify(other_tenant, bucket)
    assert found.chain.is_intact
    assert found.anchors == 0


def test_a_broken_log_gets_no_new_anchor(anchored, other_tenant, anchoring, admin):
    lengthen(other_tenant, 2)
    lengthen(anchored, 1)
    tamper(admin, "update warehouse.audit_log set actor = 'mallory' where seq = 5")
    failed, written = anchoring.all()
    assert failed.problem is not None
    assert anchored.organization_id in failed.problem
    assert "number 5:" in failed.problem
    assert not failed.may_help
    assert (written.organization_id, written.seq, written.is_new) == ("b" * 24, 2, True)
    assert len(anchoring.bucket.read_all(anchored.organization_id)) == 2


def test_a_rewritten_log_gets_no_new_anchor(anchored, anchoring, admin):
    rewrite(admin, anchored, 4)
    lengthen(anchored, 1)
    (failed,) = anchoring.all()
    assert "not the one that was anchored" in (failed.problem or "")
    assert len(anchoring.versions()) == 2
