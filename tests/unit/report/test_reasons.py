"""Why a control stands as it does, by account and in words."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.unit.report.pieces import (
    FIRST_ACCOUNT,
    KINDS,
    NOW,
    SECOND_ACCOUNT,
    connection,
    controls_of,
    evidence,
)
from thirdsentry_pipeline.report.reasons import (
    control_reasons,
    evidence_next_step,
    evidence_reason,
)

ROOT, USERS, *_ = KINDS


def reasons(*pieces, control_id="2.5", connections=()):
    control = next(one for one in controls_of(pieces) if one.control_id == control_id)
    by_kind = {}
    for one in pieces:
        by_kind.setdefault(one.evidence_type, []).append(one)
    known = {one.connection_id: one for one in connections}
    return control_reasons(control, by_kind, known, NOW)


@pytest.mark.parametrize(
    ("piece", "words"),
    [
        (evidence(ROOT), "proven"),
        (evidence(ROOT, "fail"), "root user has no MFA and 1 active access key"),
        (
            evidence(ROOT, "fail", payload={"of": "an older shape"}),
            "the newest read proves that it does not hold",
        ),
        (evidence(ROOT, "not_applicable"), "does not apply to this account"),
        (evidence(ROOT, "pending"), "not read yet"),
        (evidence(ROOT, "missing"), "never read since the account was connected"),
        (
            evidence(ROOT, "not_authorized"),
            "never read since the account was connected: AWS denied the read",
        ),
        (evidence(ROOT, "stale"), "last read well 3 days 4 hours ago: AWS denied the read"),
    ],
)
def test_each_status_of_evidence_has_its_reason(piece, words):
    assert evidence_reason(piece, connection(), NOW) == words


def test_a_role_that_did_not_open_since_the_last_attempt_is_the_cause():
    closed = connection(last_error_code="assume_role_denied", last_run_at=NOW)
    assert evidence_reason(evidence(ROOT, "stale"), closed, NOW).endswith("the role did not open")
    earlier = connection(last_error_code="assume_role_denied", last_run_at=NOW - timedelta(days=9))
    assert evidence_reason(evidence(ROOT, "stale"), earlier, NOW).endswith("AWS denied the read")


def test_next_step_names_what_to_do_and_never_syncs_away_a_proven_gap():
    assert "MFA device" in evidence_next_step(evidence(ROOT, "fail"), None)
    assert "onboard" in evidence_next_step(evidence(ROOT, "not_authorized"), None)
    by_policy = evidence(ROOT, "stale", last_error_code="denied_by_scp")
    assert "service control" in evidence_next_step(by_policy, None)
    closed = connection(status="needs_reauth")
    assert "reauth" in evidence_next_step(evidence(ROOT, "stale"), closed)
    assert "sync" in evidence_next_step(evidence(ROOT, "pending"), connection())


def test_control_without_a_connection_says_so():
    assert reasons() == ("No account is connected, so nothing can prove it.",)


def test_passing_control_counts_what_proves_it():
    second = evidence(ROOT, "not_applicable", SECOND_ACCOUNT)
    assert reasons(evidence(ROOT)) == ("Proven by 1 piece of fresh evidence.",)
    assert reasons(evidence(ROOT), second) == (
        "Proven by 2 pieces of fresh evidence; 1 of them by not applying.",
    )
    assert reasons(second) == ("None of the evidence it needs applies to the connected accounts.",)


def test_lacking_control_names_each_account_once_and_the_worst_first():
    told = reasons(
        evidence(ROOT, "stale", FIRST_ACCOUNT),
        evidence(USERS, "pass", FIRST_ACCOUNT),
        evidence(USERS, "fail", SECOND_ACCOUNT),
        evidence(ROOT, "fail", SECOND_ACCOUNT),
        control_id="8.4.1",
    )
    assert [text[:20] for text in told] == ["Account 333333333333", "Account 111111111111"]
    assert "root user has no MFA" in told[0]
    assert "2 of 5 console users lack MFA (bob, carol)" in told[0]
    assert "“Root user is protected by multi-factor authentication” last read well" in told[1]


def test_many_accounts_are_named_up_to_five():
    told = reasons(*(evidence(ROOT, "fail", f"{number:012}") for number in range(7)))
    assert len(told) == 6
    assert told[-1] == "And 2 more accounts."
