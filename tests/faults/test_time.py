"""Time itself at fault: a daemon that is off, a clock that is wrong, days of 23 and 25 hours."""

import time
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from tests.faults.world import world
from tests.faults.year import on
from tests.integration.operations.lab import ORGANIZATION
from thirdsentry_pipeline.automation.schedules import aws_evidence_daily, run_request
from thirdsentry_pipeline.domain.errors import ThirdSentryError
from thirdsentry_pipeline.operations.watching import watch_organizations

pytestmark = pytest.mark.integration

__all__ = ["world"]

STATUSES = "select distinct evidence_status, is_fresh from coverage.evidence_freshness"
COVERED = "select count(*) from coverage.control_coverage where is_covered"
WRITTEN = """
    select md5(string_agg(t::text, '' order by t::text)) from (
      select to_jsonb(o) from warehouse.evidence_observations as o
      union all select to_jsonb(s) from warehouse.evidence_state as s
      union all select to_jsonb(r) from warehouse.connector_runs as r
      union all select to_jsonb(a) from warehouse.audit_log as a
      union all select to_jsonb(l) from warehouse.alerts as l
    ) as t
"""


def asked(world, query, zone="UTC"):
    """Rows as an operator sees them in a session of that time zone."""
    with psycopg.connect(world.database.admin_url, options=f"-c timezone={zone}") as admin:
        return admin.execute(query).fetchall()


def watched(world):
    return watch_organizations(world.services.pipeline, world.services.scheduler)


@pytest.mark.fault(13)
def test_three_days_without_a_daemon_are_noticed_and_nothing_is_backdated(world):
    world.sync(world.organization, by_schedule=False)
    world.look()
    assert asked(world, STATUSES) == [("pass", True)]
    assert watched(world).found == {"stale": [], "missed": [], "untold": [], "unsent": []}
    before = asked(world, WRITTEN)

    off_since = world.clock()
    world.clock.set(off_since + timedelta(days=3))
    assert asked(world, STATUSES) == [("stale", False)]
    assert asked(world, COVERED) == [(0,)]
    assert asked(world, WRITTEN) == before, "time alone did it"
    found = watched(world)
    assert found.found["stale"] == found.found["missed"] == found.found["untold"]
    with pytest.raises(
        ThirdSentryError, match=f"1 of 1 organizations have .* {world.organization}"
    ):
        found.require_none("stale")

    world.look()
    assert len(asked(world, "select from warehouse.alerts where kind = 'stale'")) == 7
    back_at = world.clock()
    for moment in [tick for day in range(4) for tick in on(aws_evidence_daily, at(day))]:
        if off_since < moment < back_at:
            world.collect(moment)
    assert world.refused_days == 2, "yesterday and before can't be read any more"
    world.look()
    made = asked(
        world,
        f"select min(observed_at) from warehouse.evidence_observations where observed_at > '{off_since}'",
    )
    assert made[0][0] >= back_at
    days = asked(world, "select distinct partition_day from warehouse.connector_runs order by 1")
    assert [row[0] for row in days] == [off_since.date(), back_at.date()]
    assert asked(world, STATUSES) == [("pass", True)]
    told = asked(world, "select count(*) from warehouse.alerts where resolved_at is null")
    assert told == [(0,)]
    assert set(world.sink.told.values()) == {1}
    assert watched(world).found["missed"] == []


def at(day):
    return datetime(2026, 3, 10, tzinfo=UTC) + timedelta(days=day)


@pytest.mark.fault(11)
def test_a_second_tick_adds_no_evidence_and_no_alert(world):
    tick = at(1) + timedelta(hours=2)
    world.clock.set(tick)
    world.collect(tick)
    world.clock.set(tick + timedelta(hours=50))
    world.look()
    facts = "select count(*) from warehouse.evidence", "select count(*) from warehouse.alerts"
    before = [asked(world, query) for query in facts]
    later = at(3) + timedelta(hours=5)
    world.clock.set(max(later, world.clock()))
    # The same tick twice, and once more at another hour: the cron line was edited.
    for scheduled_at in (at(3) + timedelta(hours=2), at(3) + timedelta(hours=2), later):
        world.collect(scheduled_at)
        world.look()
    assert [asked(world, query) for query in facts] == before
    assert max(world.sink.told.values()) == 1
    key = run_request(later.date(), ORGANIZATION).run_key
    assert key == f"{ORGANIZATION}:{later.date()}", "the hour is no part of what is launched once"


ZONES = {
    "Europe/Berlin": (datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)),
    "America/New_York": (datetime(2026, 3, 8, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)),
    "Asia/Kolkata": (datetime(2026, 3, 29, tzinfo=UTC),),
}
DAYS_TOLD = "select as_of_date, closed_at from coverage.int_history_days order by 1"


@pytest.fixture
def live_in(monkeypatch):
    """Set the zone that this process lives in."""

    def move(zone):
        monkeypatch.setenv("TZ", zone)
        time.tzset()

    yield move
    monkeypatch.undo()
    time.tzset()


@pytest.mark.fault(18)
def test_every_day_is_one_partition_and_evidence_lasts_48_hours(world, live_in):
    moments = sorted((day, zone) for zone, days in ZONES.items() for day in days)
    for changed, zone in moments:
        live_in(zone)
        read_at = changed - timedelta(days=1) + timedelta(hours=2)
        world.clock.set(max(read_at, world.clock()))
        partitions = []
        for number in (-1, 0, 1):
            day = changed + timedelta(days=number)
            partitions += [tick.date() for tick in on(aws_evidence_daily, day)]
        assert partitions == [(changed + timedelta(days=n)).date() for n in (-1, 0, 1)]
        world.sync(world.organization, by_schedule=False)
        (good,) = asked(
            world, "select max(last_ok_at), min(last_ok_at) from warehouse.evidence_state"
        )
        assert good[0] == good[1]
        for seconds, expected in ((-1, ("pass", True)), (1, ("stale", False))):
            world.clock.set(good[0] + timedelta(hours=48, seconds=seconds))
            assert asked(world, STATUSES, zone) == [expected], (zone, changed)
        told = asked(world, DAYS_TOLD, zone)
        first = told[0][0]
        assert [row[0] for row in told] == [first + timedelta(days=n) for n in range(len(told))]
        ends = [row[1].astimezone(UTC) for row in told]
        assert all(end == datetime(end.year, end.month, end.day, tzinfo=UTC) for end in ends)
        assert ends[-1].date() == world.clock().astimezone(UTC).date()
