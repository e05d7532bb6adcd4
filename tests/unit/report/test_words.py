"""Words for states, times and counts; and text that can only be read."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from thirdsentry_pipeline.domain.evidence import ErrorCode
from thirdsentry_pipeline.report.inert import inert, inert_line
from thirdsentry_pipeline.report.words import (
    CONTROL_ORDER,
    EVIDENCE_ORDER,
    STATUS_WORDS,
    counted,
    error_words,
    joined,
    length_of,
    percent,
    sentence,
)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "less than a minute"),
        (59, "less than a minute"),
        (60, "1 minute"),
        (3599, "59 minutes"),
        (3600, "1 hour"),
        (48 * 3600 - 1, "47 hours"),
        (48 * 3600, "2 days"),
        (76 * 3600 + 1, "3 days 4 hours"),
        (249 * 3600, "10 days"),
    ],
)
def test_lengths_of_time_are_cut_and_never_rounded_up(seconds, words):
    assert length_of(timedelta(seconds=seconds)) == words


def test_unknown_share_is_words_and_a_known_one_is_as_the_mart_cut_it():
    assert percent(None) == "not yet known"
    assert percent(Decimal("99.9")) == "99.9%"
    assert percent(Decimal(100)) == "100.0%"


def test_every_status_and_error_has_words():
    assert set(CONTROL_ORDER) | set(EVIDENCE_ORDER) <= set(STATUS_WORDS)
    assert all(error_words(code.value) != code.value for code in ErrorCode)
    assert error_words(None) is None
    assert error_words("of_a_later_version") == "of_a_later_version"


def test_counts_lists_and_sentences():
    assert [counted(n, "control") for n in (0, 1, 2)] == ["0 controls", "1 control", "2 controls"]
    assert joined(["a", "b", "c"], 2) == "a, b and 1 more"
    assert joined(["a", "b"], 2) == "a, b"
    assert (sentence("it holds"), sentence("Does it?")) == ("It holds.", "Does it?")


def test_characters_that_hide_or_reorder_are_written_out():
    assert inert("a\u202eb\u200b\x00\n\u2028") == "a<U+202E>b<U+200B><U+0000><U+000A><U+2028>"
    assert inert("Zürich 東京 שלום 🙂 <b>") == "Zürich 東京 שלום 🙂 <b>"
    assert inert_line("  two\u3000 words ") == "two words"
    assert inert_line(" ") == "-"
