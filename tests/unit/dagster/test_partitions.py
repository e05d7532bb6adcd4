"""Partitions: the day window, the keys, the batches of neighbours."""

from datetime import UTC, date, datetime

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thirdsentry_pipeline.automation.schedules import batches, run_request
from thirdsentry_pipeline.automation.sensors import crowding, registry_changes
from thirdsentry_pipeline.domain.shards import WHOLE
from thirdsentry_pipeline.partitions import (
    day_and_organization,
    days_in_window,
    evidence_partitions_of,
    organization_partitions_of,
    partition_key,
    window_start,
)

NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
YEARS = (NOW.replace(tzinfo=None), datetime(2030, 1, 1, tzinfo=UTC).replace(tzinfo=None))
WINDOWS = st.integers(1, 400)
ORGANIZATIONS = organization_partitions_of(WHOLE)
A, B, C, D = (f"65f0a1b2c3d4e5f6a7b8c9d{n}" for n in range(4))


def test_keys_read_as_the_contract_says():
    key = partition_key(date(2026, 11, 23), A)
    assert key == f"2026-11-23|{A}"
    assert day_and_organization(key) == (date(2026, 11, 23), A)


def test_the_window_starts_on_a_first_of_a_month():
    assert window_start(NOW, 90) == datetime(2026, 8, 1, tzinfo=UTC)


def test_today_has_its_partition_already_and_tomorrow_has_not():
    days = evidence_partitions_of(NOW, 90).get_partitions_def_for_dimension("day")
    keys = days.get_partition_keys(current_time=NOW)
    assert keys[0] == "2026-08-01"
    assert keys[-1] == "2026-11-23"


@pytest.mark.parametrize(
    ("ordered", "wanted", "expected"),
    [
        ([A, B, C, D], {A, B, C, D}, [[A, B], [C, D]]),
        ([A, B, C, D], {A, C, D}, [[A], [C, D]]),
        ([A, B, C], {B}, [[B]]),
        ([A], set(), []),
    ],
)
def test_batches_hold_neighbours_only(ordered, wanted, expected):
    assert list(batches(ordered, wanted, 2)) == expected


@given(
    st.lists(st.integers(0, 50).map(str), unique=True),
    st.sets(st.integers(0, 50).map(str)),
    st.integers(1, 9),
)
def test_batches_cover_what_is_wanted_once_and_nothing_else(ordered, wanted, size):
    made = list(batches(ordered, wanted, size))
    assert [one for batch in made for one in batch] == [one for one in ordered if one in wanted]
    assert all(0 < len(batch) <= size for batch in made)
    for batch in made:
        first = ordered.index(batch[0])
        assert ordered[first : first + len(batch)] == batch


def test_a_second_tick_asks_for_the_same_run():
    day = date(2026, 11, 23)
    assert run_request(day, A).run_key == run_request(day, A).run_key
    assert run_request(day, A).run_key != run_request(day, B).run_key
    assert run_request(day, A).tags["thirdsentry/organization"] == A


def test_the_registry_adds_new_organizations_and_takes_deleted_ones_away():
    add, delete = registry_changes([A, B], [B, C], ORGANIZATIONS)
    assert isinstance(add, dg.AddDynamicPartitionsRequest)
    assert add.partition_keys == [C]
    assert isinstance(delete, dg.DeleteDynamicPartitionsRequest)
    assert delete.partition_keys == [A]
    assert registry_changes([A, B], [B, A], ORGANIZATIONS) == []


def days_of(made, now):
    return made.get_partitions_def_for_dimension("day").get_partition_keys(current_time=now)


@given(st.datetimes(*YEARS, timezones=st.just(UTC)), WINDOWS)
def test_every_window_holds_today_and_reaches_back_as_far_as_asked(now, days):
    keys = days_of(evidence_partitions_of(now, days), now)
    assert keys[-1] == now.date().isoformat()
    assert days < len(keys) <= days + 32
    assert len(keys) == days_in_window(now, days)


def test_a_location_loaded_before_the_month_began_has_all_days_of_one_loaded_after():
    loaded = evidence_partitions_of(datetime(2026, 10, 31, 23, tzinfo=UTC), 90)
    now = datetime(2026, 12, 1, 2, tzinfo=UTC)
    # A run's process is younger than its location: what that asks for, this must know.
    fresh = days_of(evidence_partitions_of(now, 90), now)
    assert set(fresh) < set(days_of(loaded, now))
    assert days_of(loaded, now)[-1] == "2026-12-01"


def test_too_many_partitions_come_with_what_to_do():
    assert crowding(826, 121) is None
    assert "THIRDSENTRY_PARTITION_WINDOW_DAYS" in crowding(827, 121)
