"""JSON forms and tables."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest

from thirdsentry_pipeline.cli.output import cell, plain, print_json, show_rows
from thirdsentry_pipeline.cli.sync_outcome import exit_code_of, status_of

IDENTITY = UUID("3f0c9a52-6b1e-4d7a-9c55-0a8e2f4b7d10")


def test_json_is_one_document_with_utc_times(capsys):
    print_json({"at": datetime(2026, 3, 2, tzinfo=UTC), "share": Decimal("99.9"), "id": IDENTITY})
    assert json.loads(capsys.readouterr().out) == {
        "at": "2026-03-02T00:00:00Z",
        "share": 99.9,
        "id": str(IDENTITY),
    }


def test_value_without_a_json_form_is_refused():
    with pytest.raises(TypeError):
        plain(object())


def test_no_rows_is_an_empty_json_list_and_a_sentence_otherwise(capsys):
    show_rows([], {"name": "name"}, title="t", as_json=True, empty="None yet.")
    assert capsys.readouterr().out == "[]\n"
    show_rows([], {"name": "name"}, title="t", as_json=False, empty="None yet.")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "None yet.\n")


def test_ids_are_never_folded_and_markup_is_text(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "70")
    rows = [{"connection_id": str(IDENTITY), "name": "[red]x[/red] " * 9}]
    headings = {"connection_id": "connection", "name": "name"}
    show_rows(rows, headings, title="t", as_json=False, empty="")
    out = capsys.readouterr().out
    assert str(IDENTITY) in out
    assert "[red]" in out


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, ""), (True, "yes"), (["a", "b"], "a, b"), ("fail", "[red]fail[/red]"), (3, "3")],
)
def test_cells(value, shown):
    assert cell(value) == shown


@pytest.mark.parametrize(
    ("reads", "code"),
    [
        ([["ok", "ok"]], 0),
        ([["ok", "denied"]], 3),
        ([["ok"], []], 3),
        ([["denied"]], 1),
        ([["partial"], ["error"]], 1),
        ([], 1),
        ([[]], 1),
    ],
)
def test_exit_code_of_a_sync(reads, code):
    runs = [
        {"evidence": {str(place): {"read_status": one} for place, one in enumerate(run)}}
        for run in reads
    ]
    assert exit_code_of({"status": status_of(runs)}) == code
