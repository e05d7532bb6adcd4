"""Approval against what happens at the same moment; each race is held open until it is one."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from tests.integration.audit.waiting import until_waiting
from tests.integration.warehouse.conftest import draft_with_evidence, ok
from thirdsentry_pipeline.domain.errors import InputError, ThirdSentryError
from thirdsentry_pipeline.warehouse import assessments, audit

pytestmark = pytest.mark.integration


@pytest.fixture
def draft(tenant):
    return draft_with_evidence(tenant)


@pytest.fixture
def later(tenant, draft):
    """Evidence that the draft does not hold yet."""
    return tenant.sync(ok(note="later"))[0].evidence_id


def approve(tenant, assessment_id, actor="max"):
    with tenant.scope() as c:
        assessments.approve(c, assessment_id, actor=actor)


def approve_impatiently(tenant, assessment_id):
    with tenant.scope() as c:
        c.execute(text("set local lock_timeout = '50ms'"))
        assessments.approve(c, assessment_id, actor="max")


def attach(tenant, assessment_id, evidence_id):
    with tenant.scope() as c:
        assessments.attach(c, assessment_id, [evidence_id], actor="zoe")


def shown(tenant, assessment_id):
    with tenant.scope() as c:
        return assessments.get_assessment(c, assessment_id)


def test_an_approval_waits_for_an_attachment_in_flight_and_holds_it(tenant, admin, draft, later):
    with ThreadPoolExecutor(1) as pool:
        with tenant.scope() as c:
            assessments.attach(c, draft[0], [later], actor="zoe")
            approval = pool.submit(approve, tenant, draft[0])
            until_waiting(admin)
        approval.result(timeout=10)
    assert {one.evidence_id for one in shown(tenant, draft[0]).evidence} == {draft[1], later}
    with tenant.scope() as c:
        assert audit.read_log(c, limit=1)[0]["detail"]["evidence_count"] == 2


def test_an_approval_does_not_count_an_attachment_that_was_rolled_back(tenant, admin, draft, later):
    with ThreadPoolExecutor(1) as pool:
        with tenant.scope() as c:
            assessments.attach(c, draft[0], [later], actor="zoe")
            approval = pool.submit(approve, tenant, draft[0])
            until_waiting(admin)
            c.rollback()
        approval.result(timeout=10)
    assert [one.evidence_id for one in shown(tenant, draft[0]).evidence] == [draft[1]]


@pytest.mark.parametrize("change", ["attach", "detach"])
def test_a_change_that_waited_for_an_approval_is_refused(tenant, admin, draft, later, change):
    def detach():
        with tenant.scope() as c:
            assessments.detach(c, *draft)

    with ThreadPoolExecutor(1) as pool:
        with tenant.scope() as c:
            assessments.approve(c, draft[0], actor="max")
            if change == "attach":
                waiting = pool.submit(attach, tenant, draft[0], later)
            else:
                waiting = pool.submit(detach)
            until_waiting(admin)
        with pytest.raises(ThirdSentryError, match="frozen"):
            waiting.result(timeout=10)
    assert [one.evidence_id for one in shown(tenant, draft[0]).evidence] == [draft[1]]


def test_of_two_approvers_one_approves_and_the_log_says_so_once(tenant, admin, draft):
    with ThreadPoolExecutor(1) as pool:
        with tenant.scope() as c:
            assessments.approve(c, draft[0], actor="max")
            second = pool.submit(approve, tenant, draft[0], "zoe")
            until_waiting(admin)
        with pytest.raises(ThirdSentryError, match="approved and frozen"):
            second.result(timeout=10)
    assert shown(tenant, draft[0]).approved_by == "max"
    with tenant.scope() as c:
        approvals = [one for one in audit.read_log(c) if one["action"] == "assessment_approved"]
    assert [one["actor"] for one in approvals] == ["max"]


def test_when_the_first_approver_fails_the_second_approves(tenant, admin, draft):
    with ThreadPoolExecutor(1) as pool:
        with tenant.scope() as c:
            assessments.approve(c, draft[0], actor="max")
            second = pool.submit(approve, tenant, draft[0], "zoe")
            until_waiting(admin)
            c.rollback()
        second.result(timeout=10)
    assert shown(tenant, draft[0]).approved_by == "zoe"


def test_an_approval_that_waits_too_long_says_so(tenant, draft, later):
    with tenant.scope() as c:
        assessments.attach(c, draft[0], [later], actor="zoe")
        with pytest.raises(ThirdSentryError, match="being changed by someone else"):
            approve_impatiently(tenant, draft[0])
    assert shown(tenant, draft[0]).status == "draft"


@pytest.mark.parametrize(
    "statement",
    [
        "update warehouse.assessments set status = 'draft'",
        "update warehouse.assessments set status = 'draft', approved_by = null",
        "update warehouse.assessments set approved_by = 'zoe'",
        "delete from warehouse.assessment_evidence",
    ],
)
@pytest.mark.parametrize("login", ["pipeline", "superuser"])
def test_nobody_takes_an_approval_back(tenant, admin, draft, statement, login):
    approve(tenant, draft[0])
    before = shown(tenant, draft[0])
    as_login = tenant.scope if login == "pipeline" else admin.begin
    with pytest.raises(DBAPIError, match="frozen"), as_login() as c:
        c.execute(text(statement))
    assert shown(tenant, draft[0]) == before


def test_evidence_is_named_by_its_fingerprint_too(tenant, draft):
    (held,) = shown(tenant, draft[0]).evidence
    with tenant.scope() as c:
        found = assessments.find_evidence(c, [held.fingerprint, held.evidence_id])
        assert found == [held.evidence_id, held.evidence_id]
        with pytest.raises(InputError, match="has no evidence fp1:0"):
            assessments.find_evidence(c, ["fp1:" + "0" * 64])


def test_the_newest_evidence_is_of_live_connections_alone(tenant, draft, later):
    with tenant.scope() as c:
        assert assessments.newest_evidence(c) == [later]
    tenant.rows(
        "update warehouse.connections set status = 'revoked', credential_blob = null,"
        " key_version = null, deleted_at = now() returning 1"
    )
    with tenant.scope() as c:
        assert assessments.newest_evidence(c) == []
