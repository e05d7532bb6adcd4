"""An assessment collects evidence; approved, it and what it holds are frozen."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from tests.integration.warehouse.conftest import draft_with_evidence, ok
from thirdsentry_pipeline.domain.errors import InputError, ThirdSentryError
from thirdsentry_pipeline.warehouse import assessments, audit

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy import Engine

    from tests.integration.warehouse.conftest import Tenant

pytestmark = pytest.mark.integration


@pytest.fixture
def approved(tenant: Tenant) -> tuple[UUID, UUID]:
    assessment_id, evidence_id = draft_with_evidence(tenant)
    with tenant.scope() as c:
        assessments.approve(c, assessment_id, actor="max")
    return assessment_id, evidence_id


def test_approval_is_shown_with_its_evidence_and_audited(
    tenant: Tenant, approved: tuple[UUID, UUID]
) -> None:
    with tenant.scope() as c:
        shown = assessments.get_assessment(c, approved[0])
        log = audit.read_log(c, limit=1)
    assert shown is not None
    assert (shown.status, shown.approved_by) == ("approved", "max")
    assert shown.approved_at is not None
    assert [one.evidence_id for one in shown.evidence] == [approved[1]]
    assert (log[0]["action"], log[0]["detail"]["evidence_count"]) == ("assessment_approved", 1)


def test_an_approved_assessment_takes_and_loses_nothing(
    tenant: Tenant, approved: tuple[UUID, UUID]
) -> None:
    assessment_id, evidence_id = approved
    other = tenant.sync(ok(note="late"))[0].evidence_id
    assert other is not None
    for change in (
        lambda c: assessments.attach(c, assessment_id, [other], actor="zoe"),
        lambda c: assessments.detach(c, assessment_id, evidence_id),
        lambda c: assessments.approve(c, assessment_id, actor="zoe"),
    ):
        with pytest.raises(ThirdSentryError, match="approved and frozen"), tenant.scope() as c:
            change(c)


@pytest.mark.parametrize(
    "statement",
    [
        "update warehouse.assessments set status = 'draft'",
        "update warehouse.assessments set title = 'other'",
        "delete from warehouse.assessments",
        "truncate warehouse.assessment_evidence",
        "delete from warehouse.assessment_evidence",
        "update warehouse.assessment_evidence set attached_by = 'x'",
        "update warehouse.evidence set verdict = 'fail'",
        "delete from warehouse.evidence",
    ],
)
def test_even_a_superuser_is_refused(
    tenant: Tenant, approved: tuple[UUID, UUID], admin: Engine, statement: str
) -> None:
    with pytest.raises(DBAPIError, match=r"frozen|append-only|never changed"), admin.begin() as c:
        c.execute(text(statement))


def test_an_assessment_is_not_born_approved(tenant: Tenant, admin: Engine) -> None:
    with pytest.raises(DBAPIError, match="begins as a draft"), admin.begin() as c:
        c.execute(
            text(
                "insert into warehouse.assessments (organization_id, title, status, created_by,"
                " approved_at, approved_by) values (:id, 't', 'approved', 'x', now(), 'x')"
            ),
            {"id": tenant.organization_id},
        )


def test_approval_waits_for_an_attachment_in_flight_and_counts_it(tenant: Tenant) -> None:
    assessment_id, _ = draft_with_evidence(tenant)
    late = tenant.sync(ok(note="late"))[0].evidence_id
    assert late is not None
    began = Event()

    def approve() -> None:
        with tenant.scope() as c:
            began.set()
            assessments.approve(c, assessment_id, actor="max")

    with ThreadPoolExecutor(1) as pool:
        with tenant.scope() as c:
            assessments.attach(c, assessment_id, [late], actor="zoe")
            approval = pool.submit(approve)
            assert began.wait(10)
            assert not approval.done()
        approval.result(timeout=10)
    with tenant.scope() as c:
        shown = assessments.get_assessment(c, assessment_id)
    assert shown is not None
    assert len(shown.evidence) == 2


def test_an_attachment_that_waited_for_an_approval_is_refused(tenant: Tenant) -> None:
    assessment_id, _ = draft_with_evidence(tenant)
    late = tenant.sync(ok(note="late"))[0].evidence_id
    assert late is not None

    def attach() -> None:
        with tenant.scope() as c:
            assessments.attach(c, assessment_id, [late], actor="zoe")

    with ThreadPoolExecutor(1) as pool:
        with tenant.scope() as c:
            assessments.approve(c, assessment_id, actor="max")
            attachment = pool.submit(attach)
        with pytest.raises(ThirdSentryError, match="frozen"):
            attachment.result(timeout=10)


def test_an_empty_assessment_is_not_approved(tenant: Tenant) -> None:
    with tenant.scope() as c:
        empty = assessments.create_assessment(c, "Empty", actor="zoe")
    with pytest.raises(ThirdSentryError, match="holds no evidence"), tenant.scope() as c:
        assessments.approve(c, empty, actor="zoe")


def test_evidence_of_another_organization_is_unknown(tenant: Tenant, other_tenant: Tenant) -> None:
    foreign = other_tenant.sync(ok())[0].evidence_id
    assert foreign is not None
    assessment_id, _ = draft_with_evidence(tenant)
    with pytest.raises(InputError, match="no evidence"), tenant.scope() as c:
        assessments.attach(c, assessment_id, [foreign], actor="zoe")
    with pytest.raises(InputError, match="no assessment"), other_tenant.scope() as c:
        assessments.attach(c, assessment_id, [foreign], actor="zoe")
