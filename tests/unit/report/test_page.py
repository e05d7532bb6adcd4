"""The page: complete, inert, readable by everyone, and alone in the world."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from jinja2 import UndefinedError

from tests.unit.report import snapshots as states
from tests.unit.report.pages import Page
from tests.unit.report.pieces import NOW
from tests.unit.report.snapshots import HOSTILE
from thirdsentry_pipeline.report import page as page_module
from thirdsentry_pipeline.report.model import build_report
from thirdsentry_pipeline.report.page import SYMBOLS, exact, render, when
from thirdsentry_pipeline.report.words import STATUS_WORDS

STATES = {
    state.__name__: state
    for state in (
        states.all_passing,
        states.never_connected,
        states.never_read,
        states.all_revoked,
        states.of_every_kind,
        states.of_hostile_names,
    )
}
LOADING = {"src", "srcset", "poster", "data", "action", "formaction", "background", "ping"}


@pytest.fixture(scope="module", params=STATES)
def page(request):
    return Page(render(build_report(STATES[request.param]())))


@pytest.fixture(scope="module")
def full():
    return Page(render(build_report(states.of_every_kind())))


def test_page_loads_nothing_and_runs_nothing(page):
    assert not page.all("script", "link", "iframe", "object", "embed", "img", "base", "form")
    for element in page.elements:
        names = set(element.attributes)
        assert not names & LOADING
        assert not [name for name in names if name.startswith("on") or name == "style"]
        assert element.attributes.get("href", "#").startswith("#")
    assert "@import" not in page.html
    assert set(re.findall(r"url\(([^)]{0,6})", page.html)) <= {"#fill-"}


def test_policy_allows_the_one_stylesheet_and_nothing_else(page):
    policy = next(
        element.attributes["content"]
        for element in page.all("meta")
        if element.attributes.get("http-equiv") == "Content-Security-Policy"
    )
    style = page.all("style")[0].text
    digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )


def test_ids_are_unique_and_every_reference_finds_its_own(page):
    ids = [one.attributes["id"] for one in page.elements if "id" in one.attributes]
    assert len(ids) == len(set(ids))
    for element in page.elements:
        for name in ("href", "aria-labelledby"):
            target = element.attributes.get(name, "").removeprefix("#")
            assert not target or target in ids, (element.tag, target)
        fill = element.attributes.get("fill", "")
        if fill.startswith("url(#"):
            assert fill[5:-1] in ids, fill


def test_page_has_landmarks_a_language_and_one_ordered_outline(page):
    assert page.all("html")[0].attributes["lang"] == "en"
    assert [len(page.all(tag)) for tag in ("header", "nav", "main", "footer", "h1")] == [1] * 5
    levels = [int(one.tag[1]) for one in page.all("h1", "h2", "h3")]
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert page.all("a")[0].attributes["href"] == "#main"


def test_tables_have_captions_and_scopes(page):
    assert len(page.all("caption")) == len(page.all("table"))
    assert all(one.attributes.get("scope") in {"col", "row"} for one in page.all("th"))


def test_pictures_are_described_or_hidden(page):
    for picture in page.all("svg"):
        described = picture.attributes.get("role") == "img" and picture.attributes["aria-label"]
        assert described or picture.attributes.get("aria-hidden") == "true"


def test_every_status_is_a_word_beside_its_colour(page):
    words = set(STATUS_WORDS.values())
    for status in page.with_class("status"):
        assert status.text.strip() in words


def test_every_status_has_a_shape_and_stands_once_in_the_words():
    assert set(SYMBOLS) <= set(STATUS_WORDS)
    html = render(build_report(states.of_every_kind()))
    for symbol in {*SYMBOLS.values(), page_module.NEUTRAL}:
        assert f'id="icon-{symbol}"' in html
        assert f".status.{symbol} " in html


def test_hostile_names_are_shown_and_stay_text():
    page = Page(render(build_report(states.of_hostile_names())))
    shown = HOSTILE.replace("\u202e", "<U+202E>").replace("\u2066", "<U+2066>")
    shown = shown.replace("\x00", "<U+0000>").replace("\x1b", "<U+001B>")
    assert page.all("h1")[0].text == shown
    assert page.all("title")[0].text.endswith(shown)
    assert page.text.count("<script>alert(1)</script>") >= 8
    assert not set(page.html) & set("\u202e\u2066\x00\x1b")


def test_no_python_value_leaks_into_the_words(page):
    assert not re.search(
        r"\bNone\b(?!:)|\bTrue\b(?! at)|\bFalse\b|Decimal|datetime|UUID\(",
        page.words.replace("None of", "").replace("None: ", ""),
    )


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (states.never_connected, "No account was ever connected"),
        (states.never_connected, "Not yet known: no account is connected."),
        (states.never_connected, "The log is empty"),
        (states.never_connected, "There is no evidence to look at"),
        (states.never_read, "None: no read has brought evidence of a connected account."),
        (states.never_read, "The open findings of 1 account are not known today"),
        (states.never_read, "The history begins when the first day has closed"),
        (states.all_revoked, "Every connection is revoked"),
        (states.all_passing, "Nothing: every piece of evidence is fresh, and none fails."),
        (states.all_passing, "No finding of severity 7 or more is open"),
        (states.all_passing, "Every console user of every account has MFA."),
    ],
)
def test_what_is_empty_says_why(state, words):
    assert words in Page(render(build_report(state()))).words


def test_no_good_news_is_told_of_accounts_that_were_not_read():
    told = Page(render(build_report(states.never_read()))).words
    assert "No finding of severity 7" not in told
    assert "Every console user of every account" not in told
    assert "100.0%" not in told


def test_report_says_how_it_was_computed_and_how_to_check_it(full):
    snapshot = states.of_every_kind()
    for one in snapshot.evidence:
        if one.evidence_id is not None:
            assert str(one.evidence_id) in full.text
            assert one.fingerprint in full.text
            assert str(one.run_id) in full.text
    assert snapshot.audit.row_hash in full.text
    assert f"thirdsentry audit verify --organization {states.ORGANIZATION}" in full.words
    assert "sha256sum" in full.words
    assert "Evidence is stale when it is older than 48 hours." in full.words
    assert "12 of 12 fingerprints matched" in full.words
    assert "The hash chain of 12 rows was recomputed for this report and is intact." in full.words


def test_altered_evidence_and_a_broken_log_are_said_where_they_are_listed():
    whole = states.of_every_kind()
    altered = replace(whole.evidence[0], is_recomputed=False)
    unkept = replace(whole.evidence[1], run_id=None, observed_at=None)
    audit = replace(whole.audit, broken_seq=7, problem="the row is missing")
    changed = replace(whole, evidence=(altered, unkept, *whole.evidence[2:]), audit=audit)
    told = Page(render(build_report(changed))).words
    assert "The fingerprint does not match" in told
    assert "11 of 12 fingerprints matched" in told
    assert "The hash chain is broken at row 7: the row is missing." in told
    assert "its run is no longer kept" in told


def test_lists_that_are_cut_say_so():
    whole = states.of_every_kind()
    cut = replace(whole, findings=whole.findings[:1], mfa_gaps=whole.mfa_gaps[:1])
    told = Page(render(build_report(cut))).words
    assert "2 open findings of severity 7 and more, the 1 most severe listed" in told
    assert "2 console users without MFA, the first 1 listed" in told


def test_evidence_tells_the_source_time_and_the_regions_it_lacks():
    whole = states.all_passing()
    told_by_source = replace(
        whole.evidence[0],
        source_generated_at=NOW - timedelta(hours=7),
        regions_unread=("eu-west-3", "us-west-1"),
    )
    changed = replace(whole, evidence=(told_by_source, *whole.evidence[1:]))
    told = Page(render(build_report(changed))).words
    assert "True at 2026-03-02T02:30:15.123456Z, as its source says" in told
    assert "Regions not read: eu-west-3, us-west-1" in told


def test_times_are_iso_in_utc():
    assert when(NOW) == (
        '<time datetime="2026-03-02T09:30:15.123456Z">2026-03-02\u00a009:30\u00a0UTC</time>'
    )
    assert exact(NOW).endswith(">2026-03-02T09:30:15.123456Z</time>")
    assert when(None) == "never"
    assert exact(None, "<b>") == "&lt;b&gt;"


@pytest.mark.parametrize("value", [None, True])
def test_template_that_forgets_a_value_is_an_error(value):
    with pytest.raises(TypeError, match="instead of words"):
        page_module._environment().from_string("{{ value }}").render(value=value)


def test_template_that_misspells_a_name_is_an_error():
    with pytest.raises(UndefinedError):
        page_module._environment().from_string("{{ reprot }}").render()


def test_same_snapshot_gives_the_same_page():
    assert render(build_report(states.of_every_kind())) == render(
        build_report(states.of_every_kind())
    )


def test_bar_of_a_framework_tells_its_counts_to_those_who_do_not_see_it(full):
    bars = [one.attributes["aria-label"] for one in full.with_class("bar")]
    assert bars[0] == "1 passing, 2 pending, 1 stale, 4 failing, of 8 controls"
    assert len(bars) == 5


def test_framework_shows_both_shares_beside_its_bar(full):
    shares = [" ".join(one.text.split()) for one in full.with_class("shares")]
    assert shares[0] == "12.5% passing, 25.0% covered"
