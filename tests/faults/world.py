"""A calm world on a moved clock: one organization, one account, every read a pass."""

from datetime import UTC, datetime

import dagster as dg
import pytest

from tests.faults.moved_clock import MovedClock
from tests.faults.year import Year, play
from thirdsentry_pipeline.domain.evidence import Reading, ReadStatus, Verdict

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


class CalmYear(Year):
    """A year in which AWS always answers the same."""

    def reading(self, account, kind):
        payload = {
            "regions": [{"region": "us-east-1", "state": "enabled"}],
            "regions_in_scope": ["us-east-1"],
        }
        return Reading(kind, ReadStatus.OK, Verdict.PASS, payload)


@pytest.fixture
def world(clean_database, monkeypatch, tmp_path):
    """It is noon of an early spring day, and an account was connected just now."""
    clock = MovedClock.over(clean_database.admin_url, NOON)
    instance = dg.DagsterInstance.local_temp(str(tmp_path))
    made = CalmYear(clean_database, clock, 1, None, instance)
    made.database = clean_database
    play(monkeypatch, made)
    made.found()
    (made.organization,) = made.organizations
    return made
