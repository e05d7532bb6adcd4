import contextlib
import math
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, note
from hypothesis import strategies as st

from thirdsentry_pipeline.aws import shapes
from thirdsentry_pipeline.aws.errors import AnswerTooLargeError, MalformedAnswerError

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
READERS = [
    shapes.member,
    shapes.record,
    shapes.records,
    shapes.items,
    shapes.text,
    shapes.texts,
    shapes.account_id,
    shapes.region_name,
    shapes.flag,
    shapes.moment,
    shapes.optional_text,
]


@given(value=ANYTHING)
def test_no_value_makes_a_reader_fail_otherwise_than_malformed(value):
    for reader in READERS:
        note(f"read by {reader.__name__}")
        for answer in ({"X": value}, value, {}):
            with contextlib.suppress(MalformedAnswerError):
                reader(answer, "X")


@pytest.mark.parametrize("value", ["", "a\x00b", "\ud800", 5, None, True, "x" * 5000])
def test_text_that_no_database_holds_is_refused(value):
    with pytest.raises(MalformedAnswerError):
        shapes.text({"X": value}, "X")


@pytest.mark.parametrize("value", [math.nan, math.inf, -1, 10.1, True, "8", 2**63])
def test_a_severity_off_the_scale_is_refused(value):
    with pytest.raises(MalformedAnswerError):
        shapes.decimal_number({"X": value}, "X", at_most=10)


@pytest.mark.parametrize("value", [-1, 2**63, True, 1.0, "1"])
def test_a_count_that_is_none_is_refused(value):
    with pytest.raises(MalformedAnswerError):
        shapes.optional_number({"X": value}, "X")


@pytest.mark.parametrize("value", ["evil.example/us-east-1", "us-east", "US-EAST-1", "a-b-1\n"])
def test_only_a_region_becomes_part_of_a_host_name(value):
    with pytest.raises(MalformedAnswerError):
        shapes.region_name({"X": value}, "X")


@pytest.mark.parametrize("value", ["us-east-1", "us-gov-west-1", "ap-southeast-7", "cn-north-1"])
def test_real_regions_pass(value):
    assert shapes.region_name({"X": value}, "X") == value


@pytest.mark.parametrize("value", ["1", "true", 1, 0, None])
def test_only_booleans_are_flags(value):
    with pytest.raises(MalformedAnswerError):
        shapes.flag({"X": value}, "X")


def test_times_come_out_in_utc():
    east = datetime(2026, 1, 2, 3, tzinfo=timezone(timedelta(hours=2)))
    assert shapes.moment({"X": east}, "X") == datetime(2026, 1, 2, 1, tzinfo=UTC)
    assert shapes.moment({"X": "2026-01-02T01:00:00.000Z"}, "X").tzinfo is UTC


@pytest.mark.parametrize("value", [datetime(2026, 1, 1), "2026-01-01T00:00:00", "soon", 0])  # noqa: DTZ001 - a time without a zone is the point
def test_a_time_without_zone_is_refused(value):
    with pytest.raises(MalformedAnswerError):
        shapes.moment({"X": value}, "X")


def test_a_list_over_its_limit_is_refused_and_not_cut():
    with pytest.raises(AnswerTooLargeError):
        shapes.items({"X": [1, 2, 3]}, "X", limit=2)


def test_a_repeated_item_is_refused():
    with pytest.raises(MalformedAnswerError):
        shapes.without_repeats(["a", "b", "a"], "things")
