"""Which alerts open, which resolve, and what is said about them."""

from datetime import timedelta

import pytest

from tests.integration.dbt.coverage_rows import hours_ago
from thirdsentry_pipeline.domain.evidence import EvidenceType

pytestmark = pytest.mark.integration
TYPES = len(EvidenceType)
TRAIL = EvidenceType.CLOUDTRAIL_LOGGING


def test_stale_evidence_is_told_once_and_in_one_message(lab):
    tenant, connection_id = lab.stale()
    first, again = lab.evaluate(), lab.evaluate()
    assert (first.opened, first.delivered, again.opened, again.delivered) == (TYPES, TYPES, 0, 0)
    (message,) = lab.sink.messages
    assert message.organization_id == tenant.organization_id
    assert {entry.connection_id for entry in message.entries} == {connection_id}
    assert {entry.evidence_type for entry in message.entries} == set(EvidenceType)
    assert lab.audit() == {"alert_opened": TYPES}


def test_fresh_evidence_is_no_news(lab):
    lab.stale(hours=47.9)
    assert lab.evaluate().opened == 0
    assert lab.sink.messages == []


def test_organization_never_synced_since_connecting_is_alerted(lab):
    tenant = lab.organization()
    tenant.connect(hours_ago(49))
    lab.evaluate()
    (message,) = lab.sink.messages
    assert "last good read: never" in message.text
    assert {row["episode_key"].rpartition(":")[2] for row in lab.alerts()} == {"never"}


def test_recovery_resolves_and_is_told(lab):
    tenant, connection_id = lab.stale()
    lab.evaluate()
    tenant.observe(connection_id, TRAIL, hours_ago(0))
    done = lab.evaluate()
    assert (done.resolved, done.delivered) == (1, 1)
    (entry,) = lab.sink.messages[-1].entries
    assert (entry.state, entry.evidence_type) == ("resolved", TRAIL)
    assert "again" in lab.sink.messages[-1].text
    assert lab.audit() == {"alert_opened": TYPES, "alert_resolved": 1}
    assert lab.evaluate().delivered == 0


def test_denied_read_is_no_recovery(lab):
    tenant, connection_id = lab.stale()
    lab.evaluate()
    tenant.observe(connection_id, TRAIL, hours_ago(0), read_status="denied")
    assert lab.evaluate().resolved == 0


def test_flapping_evidence_is_an_episode_each_time(lab):
    tenant = lab.organization()
    connection_id = tenant.connect(hours_ago(500), hours=1)
    for read_hours_ago in (10.0, 5.0):
        tenant.observe_all(connection_id, hours_ago(read_hours_ago))
        lab.evaluate()
    assert lab.sink.told == [[("opened", "stale")], [("opened", "stale"), ("resolved", "stale")]]
    # The first closed before anyone looked.
    assert len(lab.alerts()) == 3 * TYPES


def test_episodes_that_closed_unseen_are_stored_and_not_told(lab):
    tenant = lab.organization()
    connection_id = tenant.connect(hours_ago(200))
    tenant.observe_all(connection_id, hours_ago(199))
    tenant.observe_all(connection_id, hours_ago(1))
    done = lab.evaluate()
    assert (done.opened, done.unseen, done.delivered) == (0, TYPES, 0)
    assert lab.sink.messages == []
    assert lab.audit() == {"alert_opened": TYPES, "alert_resolved": TYPES}
    assert lab.evaluate().unseen == 0


def test_episodes_that_closed_long_ago_are_left_alone(lab):
    tenant = lab.organization()
    connection_id = tenant.connect(hours_ago(2000))
    tenant.observe_all(connection_id, hours_ago(1900))
    for hours in range(750, 0, -40):
        tenant.observe_all(connection_id, hours_ago(hours))
    assert lab.evaluate().unseen == 0


def test_what_began_long_before_the_alerts_look_back_keeps_its_name(lab):
    """Months of failures: the episode is still the one of the read and run before them."""
    tenant = lab.organization()
    connection_id = tenant.connect(hours_ago(4000))
    for hours in (3000, 2500):
        tenant.observe_all(connection_id, hours_ago(hours))
    good = [lab.run(tenant, connection_id, "succeeded", hours) for hours in (3000, 2500)]
    for hours in (2400, 2300, 100, 1):
        lab.run(tenant, connection_id, "failed", hours, "transient")
    lab.evaluate()
    keys = [row["episode_key"] for row in lab.alerts()]
    assert keys.count(f"{connection_id}:sync_failed:{good[1]}") == 1
    newest = lab.rows(
        "select run_id::text from warehouse.evidence_observations"
        " order by observed_at desc limit %s",
        TYPES,
    )
    read = {key.rpartition(":")[2] for key in keys if ":sync_failed:" not in key}
    assert read == {row["run_id"] for row in newest}
    assert len(keys) == TYPES + 1
    (failed,) = lab.rows("select detail from warehouse.alerts where kind = 'sync_failed'")
    assert failed["detail"]["consecutive_failures"] == 4


@pytest.mark.parametrize("changed", [1, 36, 48, None])
def test_changed_threshold_within_an_episode_tells_nothing(lab, changed):
    tenant = lab.organization()
    connection_id = tenant.connect(hours_ago(60), hours=24)
    tenant.observe_all(connection_id, hours_ago(30))
    lab.evaluate()
    lab.admin.execute("update warehouse.connections set stale_after_hours = %s", (changed,))
    done = lab.evaluate()
    assert (done.opened, done.unseen, done.resolved, done.delivered) == (0, 0, 0, 0)
    tenant.observe_all(connection_id, hours_ago(0))
    assert lab.evaluate().resolved == TYPES
    assert lab.sink.told == [[("opened", "stale")], [("resolved", "stale")]]


def test_read_that_was_on_its_way_when_the_alert_opened_resolves_it(lab):
    tenant = lab.organization()
    connection_id = tenant.connect(hours_ago(60))
    tenant.observe(connection_id, TRAIL, hours_ago(49))
    lab.evaluate()
    opened = next(row for row in lab.alerts() if row["evidence_type"] == TRAIL)
    tenant.observe(connection_id, TRAIL, opened["opened_at"] - timedelta(seconds=5))
    assert lab.evaluate().resolved == 1


def test_second_failed_sync_in_a_row_is_alerted_and_no_later_one(lab):
    tenant = lab.organization()
    connection_id = tenant.connect(hours_ago(40))
    lab.run(tenant, connection_id, "succeeded", 30)
    lab.run(tenant, connection_id, "failed", 20, "transient")
    assert lab.evaluate().opened == 0
    lab.run(tenant, connection_id, "running", 11)
    lab.run(tenant, connection_id, "abandoned", 10, "throttled")
    assert lab.evaluate().opened == 1
    lab.run(tenant, connection_id, "failed", 5, "transient")
    assert lab.evaluate().opened == 0
    (message,) = lab.sink.messages
    assert "2 syncs failed in a row, the last with throttled" in message.text
    lab.run(tenant, connection_id, "partial", 1)
    assert lab.evaluate().resolved == 1
    assert lab.sink.told == [[("opened", "sync_failed")], [("resolved", "sync_failed")]]


def test_failures_around_a_good_sync_are_no_streak(lab):
    tenant = lab.organization()
    connection_id = tenant.connect(hours_ago(40))
    for hours, status in ((30, "failed"), (20, "partial"), (10, "failed")):
        lab.run(tenant, connection_id, status, hours)
    assert lab.evaluate().opened == 0


def test_two_failures_at_once_are_one_attempt(lab):
    """Two daemons launched the same tick."""
    tenant = lab.organization()
    connection_id = tenant.connect(hours_ago(40))
    lab.run(tenant, connection_id, "failed", 30)
    lab.run(tenant, connection_id, "failed", (31, 29))
    assert lab.evaluate().opened == 0
    lab.run(tenant, connection_id, "failed", 10)
    assert lab.evaluate().opened == 1
    (alert,) = lab.alerts()
    assert alert["detail"]["consecutive_failures"] == 2


def test_streaks_open_as_connector_health_counts_them(lab):
    tenant = lab.organization()
    for failures in range(4):
        connection_id = tenant.connect(hours_ago(40))
        lab.run(tenant, connection_id, "succeeded", 39)
        for hours in range(failures):
            lab.run(tenant, connection_id, "failed", 30 - hours)
    lab.evaluate()
    failing = lab.rows(
        "select connection_id from coverage.connector_health where consecutive_failures >= 2"
    )
    alerted = {row["connection_id"] for row in lab.alerts()}
    assert alerted == {row["connection_id"] for row in failing}
    assert len(alerted) == 2


def test_streak_that_ended_unseen_is_stored_and_not_told(lab):
    tenant = lab.organization()
    connection_id = tenant.connect(hours_ago(40))
    for hours, status in ((30, "failed"), (20, "failed"), (10, "succeeded")):
        lab.run(tenant, connection_id, status, hours)
    assert lab.evaluate().unseen == 1
    assert lab.sink.messages == []


def test_role_that_closes_again_is_alerted_again(lab):
    tenant = lab.organization()
    connection_id = tenant.connect(hours_ago(40))
    for status, opened, resolved in (
        ("needs_reauth", 1, 0),
        ("needs_reauth", 0, 0),
        ("active", 0, 1),
        # No good sync in between.
        ("needs_reauth", 1, 0),
    ):
        lab.status(connection_id, status)
        done = lab.evaluate()
        assert (done.opened, done.resolved) == (opened, resolved)
    assert len(lab.sink.messages) == 3
    command = f"thirdsentry reauth --organization {tenant.organization_id}"
    assert command in lab.sink.messages[0].text


def test_revocation_resolves_every_alert_of_the_connection(lab):
    tenant, connection_id = lab.stale()
    for hours in (20, 10):
        lab.run(tenant, connection_id, "failed", hours, "assume_role_denied")
    lab.status(connection_id, "needs_reauth")
    assert lab.evaluate().opened == TYPES + 2
    tenant.revoke(connection_id)
    assert lab.evaluate().resolved == TYPES + 2
    assert lab.sink.messages[-1].text.count("the connection was revoked") == 3
    assert lab.evaluate().opened == 0


def test_runs_that_a_revocation_cut_short_are_no_streak(lab):
    tenant = lab.organization()
    connection_id = tenant.connect(hours_ago(40))
    lab.run(tenant, connection_id, "failed", 20, "transient")
    tenant.revoke(connection_id, hours_ago(10))
    lab.run(tenant, connection_id, "failed", 9, "revoked_during_run")
    done = lab.evaluate()
    assert (done.opened, done.unseen) == (0, 0)


def test_each_organization_gets_its_own_news_alone(lab):
    tenants = [lab.stale()[0] for _ in range(2)]
    lab.evaluate()
    told = {message.organization_id: message for message in lab.sink.messages}
    assert set(told) == {tenant.organization_id for tenant in tenants}
    assert all(len(message.entries) == TYPES for message in told.values())


def test_evaluation_that_ran_out_of_time_carries_on_where_it_stopped(lab):
    tenants = sorted(lab.stale()[0].organization_id for _ in range(3))
    ticks = iter([0.0, 0.0, 1.0, 2.0])
    first = lab.evaluate(seconds=1.5, monotonic=lambda: next(ticks))
    assert (first.organizations, first.stopped_after) == (2, tenants[1])
    second = lab.evaluate(start_after=first.stopped_after)
    assert (second.organizations, second.stopped_after) == (3, None)
    assert [one.organization_id for one in lab.sink.messages] == tenants
