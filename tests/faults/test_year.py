"""A year of days, with both clock changes, outages, and people who come and go."""

import os
import time
from collections import Counter
from datetime import UTC, datetime, timedelta

import dagster as dg
import psycopg
import pytest

from tests.faults import oracle
from tests.faults.moved_clock import MovedClock
from tests.faults.year import Year, play

pytestmark = [pytest.mark.integration, pytest.mark.minutes, pytest.mark.timeout(3600)]

FIRST_DAY = datetime(2026, 3, 1, tzinfo=UTC)
DAYS_WITHOUT_A_GUARD = 45
COLUMNS = "control_status, is_covered, evidence_required, evidence_fresh"


class History:
    """The model coverage_daily as dbt compiled it for a table that is there already.

    dbt's own statements around it (delete the days that come again, insert them) are made here,
    on a session whose time zone has clock changes.
    """

    def __init__(self, project, database):
        project.succeed("compile", "--select", "coverage_daily")
        (compiled,) = (project.artifacts / "target" / "compiled").rglob("marts/coverage_daily.sql")
        ours, theirs = f'"{database.name}"', f'"{project.database.name}"'
        self.select = compiled.read_text().replace(theirs, ours)
        assert "first_day" not in self.select
        assert "max(history.as_of_date)" in self.select
        self.database = psycopg.connect(database.transform_url, autocommit=True)
        self.database.execute("set timezone = 'America/New_York'")

    def run(self):
        with self.database.transaction():
            self.database.execute(f"create temporary table built as {self.select}")
            self.database.execute(
                "delete from coverage.coverage_daily"
                " where as_of_date in (select as_of_date from built)"
            )
            names = "as_of_date, organization_id, framework, control_id, " + COLUMNS
            self.database.execute(
                f"insert into coverage.coverage_daily ({names}) select {names} from built"
            )
            self.database.execute("drop table built")


@pytest.fixture
def zone(monkeypatch):
    """This process lives where clocks are changed."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.delenv("TZ")
    time.tzset()


def outages_of(days):
    """Of 1, 2, 3 and 10 days; in a year eight more, around both clock changes and years' ends."""
    short = {5: 1, 9: 2, 14: 3, 20: 10}
    return (
        short | {60: 1, 100: 2, 150: 3, 200: 10, 236: 3, 280: 1, 300: 10, 330: 2}
        if (days > 60)
        else short
    )


@pytest.fixture
def days(pytestconfig, removed_guard):
    """How many are played; what fails without its guard fails in the first weeks."""
    asked = pytestconfig.getoption("--days")
    return min(asked, DAYS_WITHOUT_A_GUARD) if removed_guard else asked


@pytest.fixture
def year(coverage_project, clean_database, days, monkeypatch, tmp_path):
    """A world of two organizations on its first day."""
    clock = MovedClock.over(clean_database.admin_url, FIRST_DAY)
    history = History(coverage_project, clean_database)
    instance = dg.DagsterInstance.local_temp(str(tmp_path))
    made = Year(clean_database, clock, days, history, instance)
    play(monkeypatch, made)
    made.found()
    made.found()
    return made


@pytest.mark.fault(13, 18)
def test_a_year_of_days_is_told_right(year, clean_database, zone, days, record_property):
    began = time.monotonic(), time.process_time()
    year.live(FIRST_DAY, days, outages_of(days))
    wall, cpu = time.monotonic() - began[0], time.process_time() - began[1]
    print(f"{days} days: {wall:.1f} s, {cpu:.1f} s of CPU beside Postgres")  # noqa: T201 - shown with -s
    year.look()
    year.look()
    record_property("days", days)
    assert os.environ["TZ"] == "Europe/Berlin"
    every_day_is_told(year, clean_database)
    every_due_account_was_tried_once(year)
    every_episode_has_its_alert(year, clean_database)


def every_day_is_told(year, database):
    """coverage_daily against the oracle, all days of all organizations."""
    with psycopg.connect(database.admin_url) as admin:
        rows = admin.execute(
            f"select as_of_date, organization_id, framework, control_id, {COLUMNS}"
            " from coverage.coverage_daily"
        ).fetchall()
    told = {row[:4]: row[4:] for row in rows}
    assert len(told) == len(rows)
    expected = {}
    for organization in year.organizations.values():
        day = organization.created_at.replace(hour=0, minute=0, second=0, microsecond=0)
        while (end := day + timedelta(days=1)) <= year.closed_until:
            for control, row in oracle.coverage(organization, end).items():
                expected[day.date(), organization.id, *control] = row
            day = end
    wrong = {
        key: (told.get(key), expected.get(key))
        for key in told.keys() | expected.keys()
        if told.get(key) != expected.get(key)
    }
    assert dict(list(wrong.items())[:5]) == {}
    assert len({row[0] for row in told.values()}) > 3, "days of every kind were told"


def every_due_account_was_tried_once(year):
    """No day of a running daemon without a scheduled run, none with two."""
    for account in year.accounts.values():
        assert set(account.tried.values()) <= {1}
        for day in year.healthy_days:
            tick = datetime(day.year, day.month, day.day, 2, tzinfo=UTC)
            is_live = account.connected_at < tick and not (
                account.revoked_at and account.revoked_at < tick
            )
            others = [
                one
                for one in year.organizations[account.organization_id].connections
                if one.refuses_until is not None
            ]
            if is_live and not others:
                assert account.tried[day] == 1, (account, day)


def every_episode_has_its_alert(year, database):
    """None missed, none twice, and each told once when it was seen and once when it was over."""
    with psycopg.connect(database.admin_url) as admin:
        alerts = admin.execute(
            "select kind, episode_key, alert_id::text, resolved_at is not null from warehouse.alerts"
        ).fetchall()
    last = year.looked_at[-1]
    expected = {}
    for account in year.accounts.values():
        expected |= oracle.stale_episodes(account, last)
        expected |= oracle.failed_streaks(account)
    kept = {
        key: (alert_id, is_over)
        for kind, key, alert_id, is_over in alerts
        if kind != "needs_reauth"
    }
    assert sorted(kept) == sorted(expected)
    for key, (began, ended) in expected.items():
        alert_id, is_over = kept[key]
        seen = [one for one in year.looked_at if began < one and (ended is None or one <= ended)]
        assert year.sink.told[alert_id, "opened"] == bool(seen), (key, began, ended)
        assert is_over == (ended is not None), (key, began, ended)
        assert year.sink.told[alert_id, "resolved"] == bool(seen and is_over), key
    closings = Counter()
    before = set()
    for refused in year.refused_when_looked:
        closings.update(refused - before)
        before = refused
    found = Counter(key.split(":")[0] for kind, key, *_ in alerts if kind == "needs_reauth")
    assert found == closings
    assert max(year.sink.told.values()) == 1
    assert len(kept) > 10
