"""What people type is parsed strictly, and refused with a sentence that helps."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thirdsentry_pipeline.domain.errors import InputError
from thirdsentry_pipeline.domain.evidence import EvidenceType
from thirdsentry_pipeline.domain.identifiers import (
    RoleArn,
    account_root_arn,
    parse_connection_id,
    parse_day,
    parse_evidence_type,
    parse_external_id,
    parse_organization_id,
    queued_day_may_start,
    require_today,
    today,
)
from thirdsentry_pipeline.domain.time import iso_z, utc_now

GOOD_ARN = "arn:aws:iam::123456789012:role/ThirdSentryReadOnly"


def test_good_ids_are_taken_as_they_are():
    assert parse_organization_id("64b7f3a2c1d4e5f60718293a") == "64b7f3a2c1d4e5f60718293a"
    text = "3F0C9A52-6b1e-4d7a-9c55-0a8e2f4b7d10"
    assert parse_connection_id(text) == UUID(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "64b7",
        "64B7F3A2C1D4E5F60718293A",
        "64b7f3a2c1d4e5f60718293a\n",
        "g" * 24,
        "1" * 25,
        "\u0661" * 24,
    ],
)
def test_a_malformed_organization_id_is_refused_with_a_good_one(text):
    with pytest.raises(InputError, match="such as 64b7f3a2c1d4e5f60718293a"):
        parse_organization_id(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "3f0c9a526b1e4d7a9c550a8e2f4b7d10",
        "{3f0c9a52-6b1e-4d7a-9c55-0a8e2f4b7d10}",
        "urn:uuid:3f0c9a52-6b1e-4d7a-9c55-0a8e2f4b7d10",
        "3f0c9a52-6b1e-4d7a-9c55-0a8e2f4b7d10\n",
    ],
)
def test_only_the_usual_form_of_a_uuid_is_a_connection_id(text):
    with pytest.raises(InputError, match="not a UUID"):
        parse_connection_id(text)


def test_an_error_repeats_what_was_typed_printable_and_cut():
    with pytest.raises(InputError) as caught:
        parse_organization_id("\x1b[31m" + "é" * 500)
    text = str(caught.value)
    assert text.isprintable()
    assert len(text) < 800
    assert "…" not in text
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("text", ["a" * 8, "a" * 256, "Aa0_+=,.@:/-"])
def test_external_ids_that_sts_takes_are_taken(text):
    assert parse_external_id(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a" * 7,
        "a" * 257,
        "with space",
        "acme-audit\n",
        "acme-äudit",
        "acme$audit",
        "acme-audit\x00",
    ],
)
def test_other_external_ids_are_refused_and_never_repeated(text):
    with pytest.raises(InputError) as caught:
        parse_external_id(text)
    assert not text or text not in str(caught.value)
    assert caught.value.__cause__ is None


@given(st.text(min_size=4, max_size=300))
def test_an_external_id_never_shows_in_its_error(text):
    marked = f"MARK{text}MARK"
    try:
        parse_external_id(marked)
    except InputError as error:
        assert "MARK" not in str(error)  # noqa: PT017 - the good ones do not raise


def test_evidence_types_are_known_by_their_slugs():
    assert all(parse_evidence_type(item.value) is item for item in EvidenceType)
    with pytest.raises(InputError, match=r"there are aws\.iam\.root_mfa, "):
        parse_evidence_type("aws.iam.unknown")


def test_a_day_is_written_one_way():
    assert parse_day("2024-02-29") == date(2024, 2, 29)


@pytest.mark.parametrize(
    "text",
    ["", "20261123", "2026-W48-1", "2026-2-3", "2026-11-23 ", "2026-11-23T00:00", "٢٠٢٦-11-23"],
)
def test_other_writings_of_a_day_are_refused(text):
    with pytest.raises(InputError, match="not written YYYY-MM-DD"):
        parse_day(text)


@pytest.mark.parametrize("text", ["2026-02-29", "2026-13-01", "0000-01-01"])
def test_days_that_no_calendar_has_are_refused(text):
    with pytest.raises(InputError, match="calendar has no day"):
        parse_day(text)


def test_today_is_the_day_in_utc_whatever_zone_the_clock_speaks():
    evening_in_new_york = datetime(2026, 11, 22, 21, 0, tzinfo=timezone(timedelta(hours=-5)))
    assert today(lambda: evening_in_new_york) == date(2026, 11, 23)
    require_today(date(2026, 11, 23), lambda: evening_in_new_york)


def test_the_past_can_not_be_read_and_the_future_has_not_begun():
    def clock():
        return datetime(2026, 11, 23, 12, tzinfo=UTC)

    with pytest.raises(InputError, match="AWS can't be read in the past"):
        require_today(date(2026, 11, 22), clock)
    with pytest.raises(InputError, match="has not begun"):
        require_today(date(2026, 11, 24), clock)


@pytest.mark.parametrize(
    ("day", "now", "may"),
    [
        (date(2026, 11, 23), datetime(2026, 11, 23, 23, 59, tzinfo=UTC), True),
        (date(2026, 11, 22), datetime(2026, 11, 23, 0, 0, tzinfo=UTC), True),
        (date(2026, 11, 22), datetime(2026, 11, 23, 0, 59, 59, tzinfo=UTC), True),
        (date(2026, 11, 22), datetime(2026, 11, 23, 1, 0, tzinfo=UTC), False),
        (date(2026, 11, 21), datetime(2026, 11, 23, 0, 0, tzinfo=UTC), False),
        (date(2026, 11, 24), datetime(2026, 11, 23, 0, 0, tzinfo=UTC), False),
        (
            date(2026, 11, 22),
            datetime(2026, 11, 23, 1, 30, tzinfo=timezone(timedelta(hours=1))),
            True,
        ),
    ],
)
def test_a_run_queued_for_yesterday_may_start_in_the_first_hour(day, now, may):
    assert queued_day_may_start(day, now) is may


@pytest.mark.parametrize(
    ("text", "region"),
    [
        (GOOD_ARN, "us-east-1"),
        ("arn:aws-us-gov:iam::123456789012:role/a/b/Audit", "us-gov-west-1"),
        ("arn:aws-cn:iam::123456789012:role/x+=,.@_-", "cn-north-1"),
    ],
)
def test_role_arns_of_every_partition_are_read_whole(text, region):
    role = RoleArn.parse(text)
    assert str(role) == text
    assert role.default_region == region
    assert role.role_name == text.rpartition("/")[2]
    assert role.account_root_arn == account_root_arn(role.partition, "123456789012")
    assert role.account_root_arn.endswith(":iam::123456789012:root")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not an ARN"),
        ("ThirdSentryReadOnly", "not an ARN"),
        ("urn:aws:iam::123456789012:role/x", "not an ARN"),
        (f"arn:aws:iam::123456789012:role/{'p' * 2100}/x", "not an ARN"),
        ("arn:aws-iso:iam::123456789012:role/x", "partition is not one of aws, aws-us-gov, aws-cn"),
        ("arn:aws:sts::123456789012:assumed-role/x/y", "service is not iam"),
        ("arn:aws:iam:us-east-1:123456789012:role/x", "roles have no region"),
        ("arn:aws:iam::12345678901:role/x", "not 12 digits"),
        ("arn:aws:iam::١٢٣٤٥٦٧٨٩٠١٢:role/x", "not 12 digits"),
        ("arn:aws:iam::123456789012:user/x", "does not name a role"),
        ("arn:aws:iam::123456789012:root", "does not name a role"),
        ("arn:aws:iam::123456789012:role", "role name is not one"),
        ("arn:aws:iam::123456789012:role/", "role name is not one"),
        ("arn:aws:iam::123456789012:role/a/", "role name is not one"),
        ("arn:aws:iam::123456789012:role//x", "role name is not one"),
        ("arn:aws:iam::123456789012:role/a b", "role name is not one"),
        ("arn:aws:iam::123456789012:role/x\n", "role name is not one"),
        ("arn:aws:iam::123456789012:role/a b/x", "role name is not one"),
        (f"arn:aws:iam::123456789012:role/{'x' * 65}", "role name is not one"),
    ],
)
def test_a_malformed_role_arn_is_refused_by_the_part_that_is_wrong(text, why):
    with pytest.raises(InputError, match=why) as caught:
        RoleArn.parse(text)
    assert GOOD_ARN in str(caught.value)


@given(st.text())
def test_no_text_crashes_a_parser(text):
    for parse in (
        parse_organization_id,
        parse_connection_id,
        parse_external_id,
        parse_evidence_type,
        parse_day,
        RoleArn.parse,
    ):
        try:
            parse(text)
        except InputError as error:
            assert str(error).isprintable()  # noqa: PT017 - some texts are good


def test_times_are_written_in_utc_with_z():
    assert (
        iso_z(datetime(2026, 11, 23, 2, tzinfo=timezone(timedelta(hours=2))))
        == "2026-11-23T00:00:00Z"
    )
    assert iso_z(datetime(2026, 11, 23, 2, 0, 0, 5, tzinfo=UTC)) == "2026-11-23T02:00:00.000005Z"
    assert utc_now().utcoffset() == timedelta(0)


def test_a_naive_time_is_not_guessed_at():
    with pytest.raises(ValueError, match="without a zone"):
        iso_z(datetime(2026, 11, 23))  # noqa: DTZ001 - the point of the test
