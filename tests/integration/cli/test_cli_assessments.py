"""``assessment create``, ``attach``, ``approve``, ``show`` and ``list``, and ``retention prune``."""

from uuid import uuid4

import pytest
from sqlalchemy import text

from tests.integration.audit.chains import lengthen
from tests.integration.operations.lab import OTHER_ORGANIZATION
from tests.integration.warehouse.conftest import draft_with_evidence, make_tenant, ok
from thirdsentry_pipeline.warehouse import audit

pytestmark = pytest.mark.integration


@pytest.fixture
def tenant(thirdsentry, lab):
    """An organization with one connection and one read."""
    made = make_tenant(lab.database, "a" * 24)
    made.sync(ok(note="first"))
    return made


@pytest.fixture
def evidence(tenant):
    """The id and the fingerprint of the read."""
    (row,) = tenant.rows("select evidence_id, fingerprint from warehouse.evidence")
    return str(row[0]), row[1]


@pytest.fixture
def assessment(thirdsentry, tenant):
    """Runs a subcommand of ``assessment`` for the organization."""

    def call(command, *arguments):
        organization = ("--organization", tenant.organization_id)
        return thirdsentry("assessment", command, *organization, *arguments)

    return call


@pytest.fixture
def draft(assessment):
    made = assessment("create", "--title", "SOC 2, first half", "--by", "zoe", "--json")
    assert (made.code, made.err) == (0, "")
    return made.document["assessment_id"]


def test_from_draft_to_approval(assessment, tenant, draft, evidence):
    shown = assessment("show", "--assessment", draft, "--json").document
    assert (shown["title"], shown["status"]) == ("SOC 2, first half", "draft")
    assert (shown["created_by"], shown["evidence"]) == ("zoe", [])
    attached = assessment(
        "attach", "--assessment", draft, "--evidence", evidence[0], "--by", "zoe", "--json"
    )
    assert [one["evidence_id"] for one in attached.document["evidence"]] == [evidence[0]]
    approved = assessment("approve", "--assessment", draft, "--by", "max", "--json").document
    assert (approved["status"], approved["approved_by"]) == ("approved", "max")
    assert approved["approved_at"].endswith("Z")
    assert assessment("show", "--assessment", draft, "--json").document == approved
    assert "approved by max" in assessment("show", "--assessment", draft).out
    (listed,) = assessment("list", "--json").document
    assert (listed["assessment_id"], listed["status"]) == (draft, "approved")
    with tenant.scope() as c:
        assert audit.read_log(c, limit=1)[0]["action"] == "assessment_approved"


def test_evidence_is_attached_by_fingerprint_and_all_newest_at_once(assessment, draft, evidence):
    by_print = assessment("attach", "--assessment", draft, "--evidence", evidence[1], "--json")
    newest = assessment("attach", "--assessment", draft, "--newest", "--json")
    for attached in (by_print, newest):
        assert attached.code == 0
        assert [one["evidence_id"] for one in attached.document["evidence"]] == [evidence[0]]


def test_an_approved_assessment_refuses_what_comes_later(assessment, tenant, draft, evidence):
    assessment("attach", "--assessment", draft, "--evidence", evidence[0])
    assert assessment("approve", "--assessment", draft).code == 0
    later = str(tenant.sync(ok(note="later"))[0].evidence_id)
    before = assessment("show", "--assessment", draft, "--json").document
    for refused in (
        assessment("attach", "--assessment", draft, "--evidence", later),
        assessment("approve", "--assessment", draft),
    ):
        assert refused.code == 1
        assert "approved and frozen" in refused.sentence
    assert assessment("show", "--assessment", draft, "--json").document == before


def test_an_empty_draft_is_not_approved(assessment, draft):
    refused = assessment("approve", "--assessment", draft)
    assert refused.code == 1
    assert "holds no evidence" in refused.sentence
    shown = assessment("show", "--assessment", draft, "--json").document
    assert (shown["status"], shown["approved_at"]) == ("draft", None)


def test_what_the_organization_does_not_have_is_wrong_input(
    assessment, thirdsentry, lab, draft, evidence
):
    unknown = str(uuid4())
    for wrong in (
        assessment("show", "--assessment", unknown),
        assessment("approve", "--assessment", unknown),
        assessment("attach", "--assessment", unknown, "--evidence", evidence[0]),
        assessment("attach", "--assessment", draft, "--evidence", unknown),
        assessment("attach", "--assessment", draft, "--evidence", "fp1:" + "0" * 64),
        assessment("attach", "--assessment", draft, "--evidence", evidence[0], "--newest"),
        assessment("attach", "--assessment", draft),
    ):
        assert wrong.code == 2
        assert wrong.sentence
    assert assessment("show", "--assessment", draft, "--json").document["evidence"] == []
    make_tenant(lab.database, OTHER_ORGANIZATION)
    foreign = thirdsentry(
        "assessment", "show", "--organization", OTHER_ORGANIZATION, "--assessment", draft
    )
    assert foreign.code == 2


def test_pruning_tells_what_went_and_keeps_what_is_held(thirdsentry, tenant, lab):
    _, held = draft_with_evidence(tenant)
    tenant.sync(ok(note="newest"))
    other = make_tenant(lab.database, "b" * 24)
    lengthen(other, 2)
    kept = thirdsentry("retention", "prune", "--json")
    assert (kept.code, kept.err) == (0, "")
    assert {one["audit_rows"] for one in kept.document["organizations"]} == {0}
    with lab.database.engine("admin").begin() as c:
        c.execute(
            text(
                "alter table warehouse.organizations"
                " drop constraint organizations_retention_days_check"
            )
        )
        c.execute(text("update warehouse.organizations set retention_days = 0"))
    asked = ("retention", "prune", "--organization", tenant.organization_id)
    (pruned,) = thirdsentry(*asked, "--json").document["organizations"]
    assert pruned["organization_id"] == tenant.organization_id
    assert (pruned["evidence"], pruned["observations"], pruned["problem"]) == (1, 1, None)
    ids = {row[0] for row in tenant.rows("select evidence_id from warehouse.evidence")}
    assert held in ids
    assert len(other.rows("select 1 from warehouse.audit_log")) == 2
    assert thirdsentry("retention", "prune").code == 0
    assert len(other.rows("select 1 from warehouse.audit_log")) == 2
    assert thirdsentry("audit", "verify").code == 0
    unknown = thirdsentry("retention", "prune", "--organization", "f" * 24)
    assert unknown.code == 2
