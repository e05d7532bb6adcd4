"""Deletion has one door: it keeps what is held, says what it did, and the chain goes on."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from tests.integration.audit.chains import lengthen, rewrite, tamper
from tests.integration.audit.waiting import until_waiting
from tests.integration.warehouse.conftest import draft_with_evidence, ok
from thirdsentry_pipeline.domain.errors import ThirdSentryError
from thirdsentry_pipeline.operations.audit import verify_organization
from thirdsentry_pipeline.operations.retention import prune_organizations
from thirdsentry_pipeline.warehouse import assessments, audit, retention

pytestmark = pytest.mark.integration

HELD = "select evidence_id from warehouse.evidence"


def keep_for(admin, days):
    """Set every organization's window, below what the product allows too."""
    with admin.begin() as c:
        c.execute(
            text(
                "alter table warehouse.organizations"
                " drop constraint if exists organizations_retention_days_check"
            )
        )
        c.execute(text("update warehouse.organizations set retention_days = :days"), {"days": days})


def prune(tenant):
    with tenant.scope() as c:
        return retention.prune(c, actor="zoe")


def verify(tenant, bucket=None):
    return verify_organization(tenant.engine, tenant.organization_id, bucket).chain


def evidence_ids(tenant):
    return {row[0] for row in tenant.rows(HELD)}


@pytest.fixture
def three_reads(tenant, admin):
    """Evidence that an approved assessment holds, evidence that none holds, and the newest."""
    assessment_id, held = draft_with_evidence(tenant)
    with tenant.scope() as c:
        assessments.approve(c, assessment_id, actor="max")
    forgotten = tenant.sync(ok(note="forgotten"))[0].evidence_id
    newest = tenant.sync(ok(note="newest"))[0].evidence_id
    keep_for(admin, 0)
    return held, forgotten, newest


def test_pruning_keeps_what_an_assessment_holds_and_leaves_a_checkpoint(tenant, three_reads):
    held, _, newest = three_reads
    pruned = prune(tenant)
    assert (pruned.evidence, pruned.observations) == (1, 1)
    assert evidence_ids(tenant) == {held, newest}
    with tenant.scope() as c:
        checkpoint = audit.read_log(c, limit=1)[0]
    assert (checkpoint["action"], checkpoint["actor"]) == ("retention_checkpoint", "zoe")
    detail = checkpoint["detail"]
    assert (detail["evidence"], detail["audit_rows"]) == (1, pruned.audit_rows)
    assert detail["pruned_through_seq"] == pruned.audit_rows
    assert len(detail["pruned_through_hash"]) == 64


def delete_as_superuser(admin, evidence_id):
    """With the append-only triggers off, and all that points to evidence but assessments gone."""
    tables = ("evidence_state", "evidence_observations", "evidence")
    with admin.begin() as c:
        for table in tables:
            c.execute(text(f"alter table warehouse.{table} disable trigger user"))
            c.execute(
                text(f"delete from warehouse.{table} where evidence_id = :id"), {"id": evidence_id}
            )


def test_held_evidence_is_deleted_by_nobody_as_long_as_it_is_held(tenant, admin, three_reads):
    held, forgotten, newest = three_reads
    with pytest.raises(DBAPIError, match="assessment_evidence"):
        delete_as_superuser(admin, held)
    delete_as_superuser(admin, forgotten)
    assert evidence_ids(tenant) == {held, newest}


def test_an_attachment_in_flight_stops_the_pruning_whole(tenant, admin, three_reads):
    _, forgotten, _ = three_reads
    before = evidence_ids(tenant)
    with tenant.scope() as c:
        draft = assessments.create_assessment(c, "Second half", actor="zoe")
    with ThreadPoolExecutor(1) as pool:
        with tenant.scope() as c:
            assessments.attach(c, draft, [forgotten], actor="zoe")
            pruning = pool.submit(prune, tenant)
            until_waiting(admin)
        with pytest.raises(ThirdSentryError, match="try again"):
            pruning.result(timeout=10)
    assert evidence_ids(tenant) == before
    with tenant.scope() as c:
        actions = {row["action"] for row in audit.read_log(c)}
    assert "retention_checkpoint" not in actions
    assert prune(tenant).evidence == 0
    assert evidence_ids(tenant) == before


def test_nobody_but_retention_deletes(tenant, three_reads):
    for table in ("evidence", "evidence_observations", "audit_log", "connector_runs", "alerts"):
        with pytest.raises(DBAPIError, match="permission denied"):
            tenant.rows(f"delete from warehouse.{table}")


def test_retention_prunes_the_organization_of_the_scope_alone(tenant, other_tenant, admin):
    for one in (tenant, other_tenant):
        for number in range(3):
            one.sync(ok(note=number))
    keep_for(admin, 0)
    assert prune(tenant).evidence == 2
    assert len(evidence_ids(other_tenant)) == 3
    assert verify(other_tenant).first_seq == 1


def test_a_pruned_log_verifies_from_its_checkpoint_on(tenant, admin):
    lengthen(tenant, 6)
    keep_for(admin, 0)
    assert prune(tenant).audit_rows == 5
    report = verify(tenant)
    assert report.is_intact
    assert (report.first_seq, report.rows) == (6, 2)
    lengthen(tenant, 2)
    assert prune(tenant).audit_rows == 3
    lengthen(tenant, 1)
    again = verify(tenant)
    assert again.is_intact
    assert (again.first_seq, again.seq) == (9, 11)


@pytest.mark.parametrize(
    "statement",
    [
        "delete from warehouse.audit_log where seq = 6",
        "delete from warehouse.audit_log where seq <= 7",
        "update warehouse.audit_log set seq = 5 where seq = 6",
    ],
    ids=["one more row", "the checkpoint too", "another beginning"],
)
def test_a_log_that_begins_anywhere_else_is_broken(tenant, admin, statement):
    lengthen(tenant, 6)
    keep_for(admin, 0)
    prune(tenant)
    lengthen(tenant, 2)
    tamper(admin, statement)
    assert not verify(tenant).is_intact


def test_pruned_rows_do_not_break_with_their_anchors(tenant, anchoring, admin):
    keep_for(admin, 0)
    for _ in range(3):
        lengthen(tenant, 2)
        assert anchoring.one(tenant).is_new
    assert prune(tenant).audit_rows == 5
    report = verify(tenant, anchoring.bucket)
    assert report.is_intact
    assert report.first_seq == 6
    assert anchoring.one(tenant).seq == 7


def test_rows_pruned_by_a_window_made_shorter_are_missed_by_their_anchors(tenant, anchoring, admin):
    lengthen(tenant, 3)
    assert anchoring.one(tenant).is_new
    lengthen(tenant, 3)
    keep_for(admin, 0)
    prune(tenant)
    assert verify(tenant).is_intact
    report = verify(tenant, anchoring.bucket)
    assert (report.broken_seq, report.problem) == (3, "the row was removed before its time")
    seven_years_on = datetime.now(UTC) + timedelta(days=2558)
    assert verify_organization(
        tenant.engine, tenant.organization_id, anchoring.bucket, clock=lambda: seven_years_on
    ).chain.is_intact


def test_a_checkpoint_that_names_another_hash_than_the_anchor_is_found(tenant, anchoring, admin):
    keep_for(admin, 0)
    lengthen(tenant, 3)
    assert anchoring.one(tenant).is_new
    lengthen(tenant, 3)
    rewrite(admin, tenant, 1)
    with admin.begin() as c:
        c.execute(
            text("select set_config('app.organization_id', :id, true)"),
            {"id": tenant.organization_id},
        )
        c.execute(
            text(
                "insert into warehouse.audit_log (organization_id, actor, action, detail)"
                " select organization_id, 'mallory', 'retention_checkpoint', jsonb_build_object("
                "'pruned_through_seq', seq, 'pruned_through_hash', row_hash)"
                " from warehouse.audit_log where seq = 3"
            )
        )
    tamper(admin, "delete from warehouse.audit_log where seq <= 3")
    assert verify(tenant).is_intact, "nothing inside the database can tell"
    assert verify(tenant, anchoring.bucket).broken_seq == 4


def test_nothing_is_pruned_or_written_inside_the_window(tenant):
    for number in range(3):
        tenant.sync(ok(note=number))
    assert prune(tenant).total == 0
    with tenant.scope() as c:
        assert {row["action"] for row in audit.read_log(c)} == {"sync"}


def test_one_organization_that_cannot_be_pruned_costs_no_other_its_turn(
    tenant, other_tenant, admin, three_reads
):
    other_tenant.sync(ok(note="old"))
    other_tenant.sync(ok(note="new"))
    _, forgotten, _ = three_reads
    with tenant.scope() as c:
        draft = assessments.create_assessment(c, "Second half", actor="zoe")
    ids = [tenant.organization_id, other_tenant.organization_id]
    with ThreadPoolExecutor(1) as pool:
        with tenant.scope() as c:
            assessments.attach(c, draft, [forgotten], actor="zoe")
            pruning = pool.submit(prune_organizations, tenant.engine, ids)
            until_waiting(admin)
        failed, done = pruning.result(timeout=10)
    assert failed.pruned is None
    assert "try again" in (failed.problem or "")
    assert done.pruned is not None
    assert done.pruned.evidence == 1
