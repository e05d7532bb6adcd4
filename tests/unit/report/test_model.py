"""The report puts a snapshot in order and in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.report import snapshots as states
from tests.unit.report.pieces import KINDS, connection, evidence
from tests.unit.report.snapshots import snapshot
from thirdsentry_pipeline.report.model import build_report, segments
from thirdsentry_pipeline.report.words import CONTROL_ORDER


def headline(report, label):
    return next(one for one in report.headlines if one.label == label)


def test_controls_come_worst_first_within_their_framework():
    for view in build_report(states.of_every_kind()).frameworks:
        places = [CONTROL_ORDER.index(one.control.control_status) for one in view.controls]
        assert places == sorted(places)


def test_what_needs_attention_starts_with_failing_and_tells_what_it_holds_back():
    attention = build_report(states.of_every_kind()).attention
    assert [one.evidence.evidence_status for one in attention] == [
        "fail",
        "fail",
        "fail",
        "not_authorized",
        "stale",
        "pending",
    ]
    held_back = dict(attention[1].controls)
    assert "CC6.6" in held_back["SOC 2 Trust Services Criteria"]
    assert attention[1].controls_count == sum(len(ids) for ids in held_back.values())


def test_segments_fill_the_bar_and_count_every_control():
    parts = segments(["failing", "passing", "passing", "stale"])
    assert [(one.status, one.count) for one in parts] == [
        ("passing", 2),
        ("stale", 1),
        ("failing", 1),
    ]
    assert [float(one.start) for one in parts] == [0, 50, 75]
    assert sum(one.width for one in parts) == 100
    assert segments([]) == ()


@pytest.mark.parametrize(
    ("state", "title", "command"),
    [
        (states.never_connected, "No account is connected yet", "thirdsentry onboard"),
        (states.all_revoked, "Every connection is revoked", "thirdsentry onboard"),
        (states.never_read, "Nothing has been read yet", "thirdsentry sync"),
    ],
)
def test_each_empty_state_says_what_to_do_next(state, title, command):
    report = build_report(state())
    assert [one.title for one in report.notices] == [title]
    assert report.notices[0].command == f"{command} --organization {states.ORGANIZATION}"
    assert headline(report, "Controls passing").value == "0.0%"
    assert "All" not in report.summary


def test_nothing_wrong_needs_no_notice():
    report = build_report(states.all_passing())
    assert report.notices == ()
    assert report.attention == ()
    assert report.summary == "All 71 mapped controls of 5 frameworks pass on fresh evidence."
    assert (report.recomputed, report.proven, report.limits) == (7, 7, ("48 hours",))


def test_unknown_share_is_never_a_number():
    nothing = tuple(evidence(kind, "not_applicable") for kind in KINDS)
    report = build_report(snapshot(nothing, (connection(),)))
    assert headline(report, "Controls passing").value == "not yet known"
    assert headline(report, "Controls covered").value == "not yet known"


def test_no_mapped_control_is_said():
    bare = replace(states.all_passing(), controls=(), frameworks=())
    assert build_report(bare).summary == "No control is mapped to evidence."


def test_summary_counts_every_status():
    assert build_report(states.of_every_kind()).summary == (
        "Of 71 mapped controls in 5 frameworks, 8 pass; 22 fail, 11 lack evidence, "
        "21 have evidence that is too old, 9 wait for a first read."
    )


def test_broken_audit_log_and_altered_evidence_are_alarms_before_all_else():
    whole = states.of_every_kind()
    altered = (replace(whole.evidence[0], is_recomputed=False), *whole.evidence[1:])
    broken = replace(whole.audit, broken_seq=7, problem="the row is missing")
    report = build_report(replace(whole, evidence=altered, audit=broken))
    assert [one.title for one in report.notices] == [
        "The audit log is broken",
        "Stored evidence does not match its fingerprint",
    ]
    assert all(one.is_alarm for one in report.notices)
    assert "row 7" in report.notices[0].text
    assert (report.recomputed, report.proven) == (11, 12)


def test_an_empty_list_proves_nothing_about_accounts_that_are_not_fresh():
    report = build_report(states.never_read())
    assert report.mfa.unsure == (states.FIRST_ACCOUNT,)
    assert report.findings.unsure == (states.FIRST_ACCOUNT,)
    assert build_report(states.all_passing()).findings.unsure == ()


def test_totals_count_what_is_not_listed():
    whole = states.of_every_kind()
    report = build_report(replace(whole, findings=whole.findings[:1], mfa_gaps=()))
    assert (report.findings.total, report.findings.shown) == (2, 1)
    assert (report.mfa.total, report.mfa.shown) == (2, 0)
