"""Deletion has one door; an alert is stored once and delivered from an outbox."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from tests.integration.warehouse.conftest import denied, draft_with_evidence, ok
from thirdsentry_pipeline.domain.evidence import EvidenceType
from thirdsentry_pipeline.warehouse import alerts, audit, retention

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from tests.integration.warehouse.conftest import Tenant

pytestmark = pytest.mark.integration


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
