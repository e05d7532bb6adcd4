"""MFA coverage of users, and the password policy."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thirdsentry_pipeline.domain.evidence import ErrorCode, ReadStatus, Verdict
from thirdsentry_pipeline.domain.facts import (
    CredentialReport,
    CredentialReportRow,
    IamUser,
    MfaCoverageFacts,
    PasswordPolicy,
    PasswordPolicyFacts,
    Unread,
)
from thirdsentry_pipeline.domain.rules.iam import (
    judge_mfa_coverage,
    judge_password_policy,
)

ACCOUNT = "111111111111"
ROOT_ARN = f"arn:aws:iam::{ACCOUNT}:root"
GENERATED_AT = datetime(2026, 11, 23, 1, 30, tzinfo=UTC)
DENIED = Unread(ErrorCode.DENIED, "iam:X")
THROTTLED = Unread(ErrorCode.THROTTLED, "iam:X")
NOT_READY = Unread(ErrorCode.NOT_READY, "iam:GenerateCredentialReport")


def root_row(word="not_supported", *, mfa=True, key_1=False, key_2=False):
    return CredentialReportRow("<root_account>", ROOT_ARN, word, mfa, key_1, key_2)


def user_row(name, word="true", *, mfa=True, keys=False):
    arn = f"arn:aws:iam::{ACCOUNT}:user/{name}"
    return CredentialReportRow(name, arn, word, mfa, keys, keys)


def report(root=None, *users):
    return CredentialReport(GENERATED_AT, root, users)


# --- MFA coverage ---------------------------------------------------------------------


def test_all_users_with_a_password_need_mfa():
    passed = judge_mfa_coverage(
        MfaCoverageFacts(
            report(root_row(mfa=False), user_row("ann"), user_row("bot", "false", mfa=False))
        )
    )
    assert passed.verdict is Verdict.PASS
    assert passed.source_generated_at == GENERATED_AT
    assert passed.payload == {
        "users_with_password": 1,
        "users_with_mfa": 1,
        "users_without_mfa": [],
        "users_without_mfa_count": 0,
        "report_generated_at": "2026-11-23T01:30:00Z",
    }
    failed = judge_mfa_coverage(
        MfaCoverageFacts(
            report(None, user_row("zoe", mfa=False), user_row("ann"), user_row("bob", mfa=False))
        )
    )
    assert failed.verdict is Verdict.FAIL
    assert failed.payload["users_without_mfa"] == ["bob", "zoe"]
    assert (failed.payload["users_with_password"], failed.payload["users_with_mfa"]) == (3, 1)


def test_root_is_no_user():
    facts = MfaCoverageFacts(report(None, user_row("<root_account>", mfa=False)))
    assert judge_mfa_coverage(facts).verdict is Verdict.NOT_APPLICABLE


@pytest.mark.parametrize("word", ["false", "not_supported", "no_information", "TRUE", ""])
def test_without_users_who_have_a_password_there_is_nothing_to_cover(word):
    facts = MfaCoverageFacts(report(None, user_row("ann", word, mfa=False)))
    assert judge_mfa_coverage(facts).verdict is Verdict.NOT_APPLICABLE
    assert judge_mfa_coverage(MfaCoverageFacts(report())).verdict is Verdict.NOT_APPLICABLE


def test_offenders_stop_at_a_thousand_and_their_count_does_not():
    rows = [user_row(f"user{number:05}", mfa=False) for number in reversed(range(1_500))]
    payload = judge_mfa_coverage(MfaCoverageFacts(report(None, *rows))).payload
    assert payload["users_without_mfa"] == [f"user{number:05}" for number in range(1_000)]
    assert payload["users_without_mfa_count"] == 1_500


def test_the_fallback_answers_when_the_report_does_not():
    users = (
        IamUser("ann", has_password=True, has_mfa=False),
        IamUser("bot", has_password=False, has_mfa=False),
    )
    reading = judge_mfa_coverage(MfaCoverageFacts(DENIED, users))
    assert reading.verdict is Verdict.FAIL
    assert reading.error_code is None
    assert reading.source_generated_at is None
    assert reading.payload["report_generated_at"] is None
    assert reading.payload["users_without_mfa"] == ["ann"]


@pytest.mark.parametrize(
    ("first", "fallback", "status", "code"),
    [
        (NOT_READY, None, ReadStatus.ERROR, ErrorCode.NOT_READY),
        (DENIED, None, ReadStatus.DENIED, ErrorCode.DENIED),
        (DENIED, DENIED, ReadStatus.DENIED, ErrorCode.DENIED),
        (DENIED, THROTTLED, ReadStatus.ERROR, ErrorCode.DENIED),
    ],
)
def test_without_report_and_fallback_nothing_is_proven(first, fallback, status, code):
    reading = judge_mfa_coverage(MfaCoverageFacts(first, fallback))
    assert (reading.read_status, reading.error_code, reading.verdict) == (status, code, None)


@pytest.mark.parametrize("name", ["a\x00b", "\ud800"])
def test_a_name_that_can_not_be_stored_makes_the_read_malformed(name):
    reading = judge_mfa_coverage(MfaCoverageFacts(report(None, user_row(name, mfa=False))))
    assert (reading.read_status, reading.error_code) == (ReadStatus.ERROR, ErrorCode.MALFORMED)


USERS = st.lists(
    st.builds(user_row, st.text(max_size=6), st.sampled_from(["true", "false"]), mfa=st.booleans()),
    max_size=12,
)


@given(USERS, st.randoms(use_true_random=False))
def test_coverage_does_not_depend_on_the_order_of_users_and_adds_up(users, random):
    reading = judge_mfa_coverage(MfaCoverageFacts(report(None, *users)))
    random.shuffle(users)
    assert judge_mfa_coverage(MfaCoverageFacts(report(None, *users))) == reading
    if reading.payload is not None:
        counted = reading.payload
        assert (
            counted["users_with_mfa"] + counted["users_without_mfa_count"]
            == counted["users_with_password"]
        )
        assert (reading.verdict is Verdict.PASS) == (
            counted["users_with_password"] > 0 and counted["users_without_mfa_count"] == 0
        )


# --- password policy ------------------------------------------------------------------

GOOD = PasswordPolicy(minimum_length=14, reuse_prevention=24)
GOOD_PCI = PasswordPolicy(12, 4, 90, require_numbers=True, require_lowercase=True)


@pytest.mark.parametrize(
    ("policy", "failed"),
    [
        (GOOD, []),
        (replace(GOOD, minimum_length=13), ["minimum_length"]),
        (replace(GOOD, reuse_prevention=23), ["reuse_prevention"]),
        (replace(GOOD, minimum_length=None), ["minimum_length"]),
        (replace(GOOD, reuse_prevention=None), ["reuse_prevention"]),
        (PasswordPolicy(128, 0), ["reuse_prevention"]),
        (PasswordPolicy(), ["minimum_length", "reuse_prevention"]),
        (None, ["minimum_length", "policy_present", "reuse_prevention"]),
    ],
)
def test_the_cis_profile(policy, failed):
    reading = judge_password_policy(PasswordPolicyFacts(policy))
    assert reading.payload["failed_requirements"] == failed
    assert reading.verdict is (Verdict.FAIL if failed else Verdict.PASS)
    assert reading.payload["profile"] == "cis"
    assert reading.payload["policy_present"] is (policy is not None)


@pytest.mark.parametrize(
    ("policy", "failed"),
    [
        (GOOD_PCI, []),
        (replace(GOOD_PCI, require_lowercase=False, require_uppercase=True), []),
        (replace(GOOD_PCI, require_lowercase=False), ["alphanumeric"]),
        (replace(GOOD_PCI, require_numbers=False), ["alphanumeric"]),
        (replace(GOOD_PCI, minimum_length=11), ["minimum_length"]),
        (replace(GOOD_PCI, reuse_prevention=3), ["reuse_prevention"]),
        (replace(GOOD_PCI, max_age_days=91), ["max_age_days"]),
        (replace(GOOD_PCI, max_age_days=0), ["max_age_days"]),
        (replace(GOOD_PCI, max_age_days=None), ["max_age_days"]),
    ],
)
def test_the_pci_profile(policy, failed):
    reading = judge_password_policy(PasswordPolicyFacts(policy), profile="pci")
    assert reading.payload["failed_requirements"] == failed
    assert reading.verdict is (Verdict.FAIL if failed else Verdict.PASS)


def test_an_absent_member_and_a_zero_one_are_the_same_state():
    absent = judge_password_policy(PasswordPolicyFacts(PasswordPolicy(14)))
    zero = judge_password_policy(PasswordPolicyFacts(PasswordPolicy(14, 0, 0)))
    assert absent == zero
    assert zero.payload["max_age_days"] is None
    assert zero.payload["reuse_prevention"] is None


@pytest.mark.parametrize(
    ("unread", "status"), [(DENIED, ReadStatus.DENIED), (THROTTLED, ReadStatus.ERROR)]
)
def test_an_unread_policy_proves_nothing(unread, status):
    reading = judge_password_policy(PasswordPolicyFacts(unread))
    assert (reading.read_status, reading.error_code, reading.verdict) == (status, unread.code, None)


def test_a_number_that_can_not_be_stored_makes_the_read_malformed():
    reading = judge_password_policy(PasswordPolicyFacts(PasswordPolicy(minimum_length=2**60)))
    assert (reading.read_status, reading.error_code) == (ReadStatus.ERROR, ErrorCode.MALFORMED)
