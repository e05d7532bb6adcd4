"""Assessments freeze, readers are bound by who they are, retention has one door."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError, OperationalError

from tests.integration.warehouse.conftest import denied, ok
from thirdsentry_pipeline.domain.errors import InputError, ThirdSentryError
from thirdsentry_pipeline.domain.evidence import EvidenceType
from thirdsentry_pipeline.warehouse import alerts, assessments, audit, bi_logins, retention
from thirdsentry_pipeline.warehouse.database import engine_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from tests.databases import WarehouseDatabase
    from tests.integration.warehouse.conftest import Tenant

pytestmark = pytest.mark.integration


def draft_with_evidence(tenant: Tenant) -> tuple[UUID, UUID]:
    evidence_id = tenant.sync(ok(note="held"))[0].evidence_id
    assert evidence_id is not None
    with tenant.scope() as c:
        assessment_id = assessments.create_assessment(c, "SOC 2, first half", actor="zoe")
        assert assessments.attach(c, assessment_id, [evidence_id], actor="zoe") == 1
    return assessment_id, evidence_id


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


@pytest.fixture
def reader(
    tenant: Tenant, other_tenant: Tenant, clean_database: WarehouseDatabase
) -> Iterator[Engine]:
    """A BI login of the first organization, in a warehouse with two."""
    tenant.sync(ok(note=1))
    other_tenant.sync(ok(note=2))
    name = f"bi_{uuid4().hex[:8]}"
    with tenant.scope() as c:
        granted = bi_logins.grant_login(c, name, actor="zoe")
    assert granted.password not in repr(granted)
    url = make_url(clean_database.pipeline_url).set(username=name, password=granted.password)
    engine = engine_for(url.render_as_string(hide_password=False), pool=False)
    yield engine
    with tenant.scope() as c:
        if any(one["login"] == name for one in bi_logins.list_logins(c)):
            bi_logins.revoke_login(c, name, actor="zoe")


READABLE = (
    "organizations",
    "connections",
    "connector_runs",
    "evidence",
    "evidence_observations",
    "evidence_state",
)


@pytest.mark.parametrize("table", READABLE)
def test_a_reader_sees_its_own_organization_whatever_it_sets(
    reader: Engine, tenant: Tenant, other_tenant: Tenant, table: str
) -> None:
    query = text(f"select distinct organization_id from warehouse.{table}")
    with reader.connect() as c:
        assert list(c.scalars(query)) == [tenant.organization_id]
        c.execute(text(f"set app.organization_id = '{other_tenant.organization_id}'"))
        assert list(c.scalars(query)) == [tenant.organization_id]


@pytest.mark.parametrize(
    "statement",
    [
        "select credential_blob from warehouse.connections",
        "select * from warehouse.connections",
        "select * from warehouse.audit_log",
        "select * from warehouse.organization_data_keys",
        "select * from warehouse.pending_external_ids",
        "select * from warehouse.identity_claims",
        "select * from warehouse.identity_secret",
        "select * from warehouse.bi_logins",
        "select warehouse.live_organization_ids()",
        "select warehouse.claim_identity('role_arn', repeat('0', 64))",
        "set role ts_pipeline",
        "set role ts_owner",
        "create table coverage.mine (x int)",
        "create temporary table connections (x int)",
    ],
)
def test_a_reader_reaches_nothing_else(reader: Engine, statement: str) -> None:
    with reader.connect() as c, pytest.raises(DBAPIError, match=r"permission denied|read-only"):
        c.execute(text(f"set transaction read write; {statement}"))


def test_a_revoked_reader_reads_nothing_and_its_name_is_free_again(
    reader: Engine, tenant: Tenant
) -> None:
    name = reader.url.username
    assert name is not None
    with tenant.scope() as c:
        bi_logins.revoke_login(c, name, actor="zoe")
    with pytest.raises(OperationalError, match="password authentication failed"):
        reader.connect()
    with pytest.raises(InputError), tenant.scope() as c:
        bi_logins.revoke_login(c, name, actor="zoe")
    with tenant.scope() as c:
        bi_logins.grant_login(c, name, actor="zoe")


def test_a_taken_or_reserved_name_is_refused(reader: Engine, other_tenant: Tenant) -> None:
    name = reader.url.username
    assert name is not None
    for refused, why in (
        (name, "taken"),
        ("thirdsentry_x", "3 to 63"),
        ("ts_x", "3 to 63"),
        ("A b", "3 to 63"),
    ):
        with pytest.raises(ThirdSentryError, match=why), other_tenant.scope() as c:
            bi_logins.grant_login(c, refused, actor="zoe")
    with pytest.raises(InputError), other_tenant.scope() as c:
        bi_logins.revoke_login(c, name, actor="zoe")


def test_an_auditor_reads_the_log_and_the_assessments_of_its_organization(
    tenant: Tenant, other_tenant: Tenant, clean_database: WarehouseDatabase
) -> None:
    draft_with_evidence(tenant)
    draft_with_evidence(other_tenant)
    name = f"auditor_{uuid4().hex[:8]}"
    with tenant.scope() as c:
        granted = bi_logins.grant_login(c, name, actor="zoe", reader_role="ts_auditor")
    url = make_url(clean_database.pipeline_url).set(username=name, password=granted.password)
    engine = engine_for(url.render_as_string(hide_password=False), pool=False)
    with engine.connect() as c:
        for table in (*READABLE, "audit_log", "assessments", "assessment_evidence"):
            found = set(c.scalars(text(f"select organization_id from warehouse.{table}")))
            assert found == {tenant.organization_id}, table
    with tenant.scope() as c:
        bi_logins.revoke_login(c, name, actor="zoe")


def age(admin: Engine, days: int) -> None:
    """Make everything stored so far this much older, as only a superuser can."""
    columns = {
        "evidence": ["first_observed_at"],
        "evidence_observations": ["observed_at"],
        "connector_runs": ["started_at", "finished_at"],
        "alerts": ["opened_at", "resolved_at"],
    }
    with admin.begin() as c:
        for table, names in columns.items():
            c.execute(text(f"alter table warehouse.{table} disable trigger user"))
            changes = ", ".join(f"{name} = {name} - interval '{days} days'" for name in names)
            c.execute(text(f"update warehouse.{table} set {changes}"))
            c.execute(text(f"alter table warehouse.{table} enable trigger user"))


def test_pruning_keeps_what_an_assessment_holds_and_the_newest_reads(
    tenant: Tenant, other_tenant: Tenant, admin: Engine
) -> None:
    _, held = draft_with_evidence(tenant)
    tenant.sync(ok(note="forgotten"), denied(EvidenceType.MFA_COVERAGE))
    other_tenant.sync(ok(note="old"))
    other_tenant.sync(ok(note="new"))
    age(admin, 3000)
    newest = tenant.sync(ok(note="newest"))[0].evidence_id
    with tenant.scope() as c:
        pruned = retention.prune(c, actor="zoe")
    assert (pruned.evidence, pruned.observations) == (1, 1)
    assert {row[0] for row in tenant.rows("select evidence_id from warehouse.evidence")} == {
        held,
        newest,
    }
    with tenant.scope() as c:
        assert retention.prune(c).total == 0
        assert audit.read_log(c)[0]["action"] == "retention_checkpoint"
        assert audit.verify_chain(c).is_intact
    assert len(other_tenant.rows("select 1 from warehouse.evidence_observations")) == 2


def test_a_pruned_log_starts_at_its_checkpoint_and_nowhere_else(
    tenant: Tenant, admin: Engine
) -> None:
    for number in range(6):
        tenant.sync(ok(note=number))
    # Rows this old can't be made without breaking their hashes; a short window is the same test.
    with admin.begin() as c:
        c.execute(
            text(
                "alter table warehouse.organizations drop constraint organizations_retention_days_check"
            )
        )
        c.execute(text("update warehouse.organizations set retention_days = 0"))
    with tenant.scope() as c:
        pruned = retention.prune(c)
    assert pruned.audit_rows == 5
    with tenant.scope() as c:
        report = audit.verify_chain(c)
    assert report.is_intact
    assert (report.first_seq, report.rows) == (6, 2)
    with admin.begin() as c:
        c.execute(text("alter table warehouse.audit_log disable trigger user"))
        c.execute(text("delete from warehouse.audit_log where seq = 6"))
    with tenant.scope() as c:
        assert audit.verify_chain(c).broken_seq == 1


def test_an_alert_is_stored_once_delivered_and_resolved(tenant: Tenant) -> None:
    moment = datetime.now(UTC) - timedelta(hours=1)

    def opened() -> bool:
        with tenant.scope() as c:
            return alerts.open_alert(
                c, "stale", "stale:x", connection_id=tenant.connection_id, opened_at=moment
            )

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(lambda _: opened(), range(4))) == [False, False, False, True]
    with tenant.scope() as c:
        due = alerts.claim_deliveries(c)
        assert [one.episode_key for one in due] == ["stale:x"]
        with tenant.scope() as other:
            assert alerts.claim_deliveries(other) == [], "another process holds it"
        alerts.mark_undelivered(c, due, "sink is down", retry_in=timedelta(0))
    with tenant.scope() as c:
        due = alerts.claim_deliveries(c)
        assert due[0].delivery_attempts == 1
        alerts.mark_delivered(c, due)
    with tenant.scope() as c:
        assert alerts.claim_deliveries(c) == []
        (alert,) = alerts.open_alerts(c, "stale")
        assert alerts.resolve_alert(c, alert)
        assert not alerts.resolve_alert(c, alert)
    with tenant.scope() as c:
        alerts.mark_delivered(c, alerts.claim_deliveries(c))
    with tenant.scope() as c:
        assert alerts.claim_deliveries(c) == []
        assert alerts.list_alerts(c)[0].resolution_notified_at is not None
        assert [row["action"] for row in audit.read_log(c)] == ["alert_resolved", "alert_opened"]


def test_an_episode_that_closed_unseen_is_stored_and_not_sent(tenant: Tenant) -> None:
    moment = datetime.now(UTC)
    with tenant.scope() as c:
        assert alerts.open_alert(
            c, "stale", "x", connection_id=None, opened_at=moment, resolved_at=moment
        )
    with tenant.scope() as c:
        assert alerts.claim_deliveries(c) == []
        assert len(alerts.list_alerts(c)) == 1
