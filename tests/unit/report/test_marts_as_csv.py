"""CSV files: whole numbers stay whole, unknown stays empty, and no cell is a formula."""

from __future__ import annotations

import csv
import io
import zipfile
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thirdsentry_pipeline.report.marts import FORMULA_STARTS, MARTS, MartFiles, cell, to_csv, zipped

MOMENT = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


def read(content):
    return list(csv.reader(io.StringIO(content.decode(), newline="")))


def test_values_are_written_as_the_contract_writes_them():
    row = {
        "id": UUID(int=7),
        "count": 3,
        "unknown": None,
        "share": Decimal("33.3"),
        "is_fresh": True,
        "at": MOMENT,
        "day": date(2026, 3, 2),
    }
    other = {**row, "count": None, "is_fresh": False}
    assert read(to_csv(list(row), [row, other])) == [
        list(row),
        [str(UUID(int=7)), "3", "", "33.3", "true", "2026-03-02T09:30:00Z", "2026-03-02"],
        [str(UUID(int=7)), "", "", "33.3", "false", "2026-03-02T09:30:00Z", "2026-03-02"],
    ]


def test_mart_without_rows_has_its_header():
    assert read(to_csv(MARTS["mfa_gaps"], [])) == [list(MARTS["mfa_gaps"])]


@pytest.mark.parametrize("start", FORMULA_STARTS)
def test_cell_that_a_spreadsheet_would_run_becomes_text(start):
    assert cell(f"{start}cmd|' /C calc'!A0") == f"'{start}cmd|' /C calc'!A0"
    assert cell(f"  {start}x") == f"'  {start}x"


def test_starts_are_those_that_spreadsheets_run():
    assert set("=+-@\t\r\n") < set(FORMULA_STARTS)
    full_width = {chr(ord(one) + 0xFEE0) for one in "=+-@"}
    assert full_width < set(FORMULA_STARTS)


def test_ordinary_text_and_numbers_are_left_alone():
    assert cell("alice@example.com") == "alice@example.com"
    assert cell(-3) == -3
    assert cell(Decimal("-0.5")) == Decimal("-0.5")


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")))
def test_text_comes_back_after_taking_one_leading_apostrophe_away(text):
    written = read(to_csv(["name"], [{"name": text}]))[1][0]
    assert not written.lstrip(" ").startswith(tuple("=+-@\t\r\n"))
    assert written.removeprefix("'") == text


def test_archive_holds_the_files_and_is_the_same_every_time():
    made = MartFiles(MOMENT, {"a.csv": b"x\n", "manifest.json": b"{}\n"}, {"a": 1})
    with zipfile.ZipFile(io.BytesIO(zipped(made))) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == made.files
    assert zipped(made) == zipped(made)
