"""Root MFA: what each source proves, alone and together."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from itertools import product

import pytest

from thirdsentry_pipeline.domain.evidence import ErrorCode, ReadStatus, Verdict
from thirdsentry_pipeline.domain.facts import (
    AccountSummary,
    CredentialReport,
    CredentialReportRow,
    RootMfaFacts,
    Unread,
)
from thirdsentry_pipeline.domain.rules.iam import (
    judge_root_mfa,
)

ACCOUNT = "111111111111"
ROOT_ARN = f"arn:aws:iam::{ACCOUNT}:root"
GENERATED_AT = datetime(2026, 11, 23, 1, 30, tzinfo=UTC)
DENIED = Unread(ErrorCode.DENIED, "iam:X")
DENIED_BY_SCP = Unread(ErrorCode.DENIED_BY_SCP, "iam:X")
THROTTLED = Unread(ErrorCode.THROTTLED, "iam:X")
NOT_READY = Unread(ErrorCode.NOT_READY, "iam:GenerateCredentialReport")

PROTECTED = AccountSummary(mfa_enabled=True, password_present=True, access_keys_present=False)
UNPROTECTED = replace(PROTECTED, mfa_enabled=False)
NO_CREDENTIAL = AccountSummary(mfa_enabled=False, password_present=False, access_keys_present=False)


def root_row(word="not_supported", *, mfa=True, key_1=False, key_2=False):
    return CredentialReportRow("<root_account>", ROOT_ARN, word, mfa, key_1, key_2)


def user_row(name, word="true", *, mfa=True, keys=False):
    arn = f"arn:aws:iam::{ACCOUNT}:user/{name}"
    return CredentialReportRow(name, arn, word, mfa, keys, keys)


def report(root=None, *users):
    return CredentialReport(GENERATED_AT, root, users)


def root_facts(summary=PROTECTED, root_report=None, devices=(), partition="aws"):
    return RootMfaFacts(
        ACCOUNT,
        partition,
        summary,
        report(root_row()) if root_report is None else root_report,
        devices,
    )


# --- root MFA -------------------------------------------------------------------------


def test_a_root_with_mfa_passes_and_one_without_fails():
    passed = judge_root_mfa(root_facts(PROTECTED))
    assert passed.verdict is Verdict.PASS
    assert passed.payload == {
        "has_credential": True,
        "password_present": True,
        "active_access_keys": 0,
        "mfa_enabled": True,
        "mfa_kind": "hardware",
        "report_generated_at": "2026-11-23T01:30:00Z",
    }
    assert passed.source_generated_at == GENERATED_AT
    assert passed.error_code is None

    failed = judge_root_mfa(root_facts(UNPROTECTED))
    assert failed.verdict is Verdict.FAIL
    assert failed.payload["mfa_kind"] is None


def test_the_live_summary_beats_the_older_report_on_mfa():
    facts = root_facts(PROTECTED, report(root_row(mfa=False)))
    assert judge_root_mfa(facts).verdict is Verdict.PASS
    facts = root_facts(UNPROTECTED, report(root_row(mfa=True)))
    assert judge_root_mfa(facts).verdict is Verdict.FAIL


def test_central_root_access_leaves_nothing_to_protect():
    reading = judge_root_mfa(root_facts(NO_CREDENTIAL, report(root_row("false", mfa=False))))
    assert reading.verdict is Verdict.NOT_APPLICABLE
    assert reading.payload["has_credential"] is False
    assert reading.payload["password_present"] is False


@pytest.mark.parametrize(
    "row",
    [
        root_row("true", mfa=False),
        root_row("not_supported", mfa=False),
        root_row("false", mfa=False, key_1=True),
        root_row("false", mfa=False, key_2=True),
    ],
)
def test_any_credential_in_the_report_needs_mfa(row):
    reading = judge_root_mfa(root_facts(NO_CREDENTIAL, report(row)))
    assert reading.verdict is Verdict.FAIL
    assert reading.payload["has_credential"] is True


def test_active_keys_of_root_are_counted():
    row = root_row("false", key_1=True, key_2=True)
    assert judge_root_mfa(root_facts(PROTECTED, report(row))).payload["active_access_keys"] == 2


@pytest.mark.parametrize(
    ("partition", "verdict"),
    [
        ("aws", Verdict.FAIL),
        ("aws-us-gov", Verdict.NOT_APPLICABLE),
        ("aws-cn", Verdict.NOT_APPLICABLE),
    ],
)
def test_not_supported_means_a_password_only_in_the_commercial_partition(partition, verdict):
    facts = root_facts(
        NO_CREDENTIAL, report(root_row("not_supported", mfa=False)), partition=partition
    )
    assert judge_root_mfa(facts).verdict is verdict


def test_a_password_told_by_either_source_is_present():
    facts = root_facts(replace(NO_CREDENTIAL, mfa_enabled=True), report(root_row("true")))
    assert judge_root_mfa(facts).payload["password_present"] is True
    facts = root_facts(PROTECTED, report(root_row("false")))
    assert judge_root_mfa(facts).payload["password_present"] is True


@pytest.mark.parametrize(
    ("partition", "devices", "kind"),
    [
        ("aws", (ROOT_ARN,), "virtual"),
        ("aws", (), "hardware"),
        ("aws", (f"arn:aws:iam::{ACCOUNT}:user/groot",), "hardware"),
        (
            "aws",
            (f"arn:aws:iam::{ACCOUNT}:user/x:root", "arn:aws:iam::222222222222:root"),
            "hardware",
        ),
        ("aws", (f"arn:aws-us-gov:iam::{ACCOUNT}:root",), "hardware"),
        ("aws-us-gov", (f"arn:aws-us-gov:iam::{ACCOUNT}:root",), "virtual"),
    ],
)
def test_only_a_device_of_root_itself_makes_its_mfa_virtual(partition, devices, kind):
    reading = judge_root_mfa(root_facts(devices=devices, partition=partition))
    assert reading.payload["mfa_kind"] == kind
    assert reading.verdict is Verdict.PASS


def test_an_unread_kind_never_decides_the_verdict_and_is_told():
    reading = judge_root_mfa(root_facts(devices=DENIED))
    assert (reading.verdict, reading.error_code) == (Verdict.PASS, ErrorCode.DENIED)
    assert reading.payload["mfa_kind"] is None


def test_the_summary_alone_proves_a_credential_with_or_without_mfa():
    for summary, verdict in ((PROTECTED, Verdict.PASS), (UNPROTECTED, Verdict.FAIL)):
        reading = judge_root_mfa(root_facts(summary, NOT_READY))
        assert (reading.read_status, reading.verdict) == (ReadStatus.OK, verdict)
        assert reading.error_code is ErrorCode.NOT_READY
        assert reading.source_generated_at is None
        assert reading.payload["active_access_keys"] == 0
        assert reading.payload["report_generated_at"] is None


def test_keys_that_are_present_may_be_inactive_so_their_number_is_unknown():
    reading = judge_root_mfa(root_facts(replace(PROTECTED, access_keys_present=True), DENIED))
    assert reading.payload["active_access_keys"] is None


def test_the_report_alone_proves_a_credential_with_or_without_mfa():
    for mfa, verdict in ((True, Verdict.PASS), (False, Verdict.FAIL)):
        reading = judge_root_mfa(root_facts(DENIED, report(root_row(mfa=mfa))))
        assert (reading.read_status, reading.verdict) == (ReadStatus.OK, verdict)
        assert reading.error_code is ErrorCode.DENIED
        assert reading.payload["password_present"] is None
    reading = judge_root_mfa(root_facts(DENIED, report(root_row("true"))))
    assert reading.payload["password_present"] is True


@pytest.mark.parametrize(
    ("summary", "root_report"),
    [(NO_CREDENTIAL, DENIED), (DENIED, report(root_row("false"))), (NO_CREDENTIAL, report(None))],
)
def test_one_source_alone_never_proves_that_there_is_no_credential(summary, root_report):
    reading = judge_root_mfa(root_facts(summary, root_report))
    assert reading.read_status is ReadStatus.ERROR
    assert reading.verdict is None


@pytest.mark.parametrize(
    ("summary", "root_report", "status", "code"),
    [
        (DENIED, DENIED, ReadStatus.DENIED, ErrorCode.DENIED),
        (DENIED, DENIED_BY_SCP, ReadStatus.DENIED, ErrorCode.DENIED_BY_SCP),
        (DENIED, NOT_READY, ReadStatus.ERROR, ErrorCode.DENIED),
        (THROTTLED, NOT_READY, ReadStatus.ERROR, ErrorCode.NOT_READY),
        (DENIED, report(None), ReadStatus.ERROR, ErrorCode.DENIED),
        (AccountSummary(None, None, None), report(None), ReadStatus.ERROR, ErrorCode.MALFORMED),
        (
            AccountSummary(None, password_present=True, access_keys_present=None),
            report(None),
            ReadStatus.ERROR,
            ErrorCode.MALFORMED,
        ),
        (AccountSummary(None, None, None), DENIED, ReadStatus.ERROR, ErrorCode.DENIED),
    ],
)
def test_what_proves_nothing_says_why(summary, root_report, status, code):
    reading = judge_root_mfa(root_facts(summary, root_report))
    assert (reading.read_status, reading.error_code) == (status, code)


def test_a_summary_without_mfa_is_completed_by_the_report():
    reading = judge_root_mfa(
        root_facts(AccountSummary(None, password_present=True, access_keys_present=None))
    )
    assert reading.verdict is Verdict.PASS


def test_every_combination_is_proven_only_by_what_was_read():
    flags = (True, False, None)
    summaries = [DENIED, *(AccountSummary(*three) for three in product(flags, repeat=3))]
    words = ("true", "false", "not_supported", "no_information")
    rows = [
        root_row(word, mfa=mfa, key_1=key)
        for word, mfa, key in product(words, (True, False), (True, False))
    ]
    reports = [NOT_READY, report(None), *map(report, rows)]
    for summary, root_report in product(summaries, reports):
        reading = judge_root_mfa(root_facts(summary, root_report))
        row = getattr(root_report, "root", None)
        has_password = getattr(summary, "password_present", None)
        says_mfa = {getattr(summary, "mfa_enabled", None), row.mfa_active if row else None}
        if reading.verdict is Verdict.NOT_APPLICABLE:
            assert has_password is False
            assert row is not None
            assert row.password_enabled in {"false", "no_information"}
            assert not row.access_key_1_active
        elif reading.verdict is not None:
            assert reading.payload["has_credential"] is True
            assert has_password or row is not None
            assert (reading.verdict is Verdict.PASS) in says_mfa
        else:
            assert reading.error_code is not None
