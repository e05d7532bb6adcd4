"""Fault 25: credential reports that are odd, cut, old or never made."""

import base64
from datetime import UTC, datetime, timedelta

import pytest

from tests.faults.answers.account import Account
from tests.faults.answers.case import Laboratory
from tests.faults.answers.documents import EXPECTED, ROOT_ROWS, USER_ROWS, report, report_row
from tests.faults.answers.wire import answer_of, tree_of
from thirdsentry_pipeline.domain.evidence import ErrorCode, EvidenceType

ROOT = ROOT_ROWS["good"]
USERS = USER_ROWS["one_without"]
STATE = {**dict.fromkeys(EXPECTED, "good"), "users": "one_without"}
KEY = ("iam.GetCredentialReport", None, None)
WHOLE = report(ROOT, *USERS)


@pytest.fixture
def laboratory():
    with Laboratory().open() as laboratory:
        yield laboratory


def read(laboratory, content, **changed):
    """The two types that rest on a report with this content."""
    account = Account(STATE)
    document = {**account.documents[KEY][0], "Content": base64.b64encode(content).decode()}
    account.spoil(KEY, 0, answer_of(KEY[0], tree_of(KEY[0], {**document, **changed})))
    readings = laboratory.collect(account).readings
    return readings[EvidenceType.MFA_COVERAGE], readings[EvidenceType.ROOT_MFA]


def moved(content):
    rows = [line.split(",") for line in content.decode().split("\n")]
    return "\n".join(",".join(reversed(row)) for row in rows).encode()


@pytest.mark.fault(25)
@pytest.mark.parametrize(
    "content",
    [WHOLE, b"\xef\xbb\xbf" + WHOLE, WHOLE.replace(b"\n", b"\r\n"), moved(WHOLE), WHOLE + b"\n"],
    ids=["plain", "a mark of byte order", "windows lines", "columns moved", "an end of line"],
)
def test_an_odd_form_of_a_report_says_the_same(laboratory, content):
    coverage, root = read(laboratory, content)
    assert (coverage.verdict, root.verdict) == ("fail", "pass")
    assert coverage.payload["users_without_mfa"] == ["bob"]


SPOILT = {
    "a cut row": WHOLE[:-20],
    "a cut in the row before the last": WHOLE[: WHOLE.rindex(b"\n") - 30],
    "no root": report(*USERS),
    "two roots": report(ROOT, ROOT, *USERS),
    "another account's root": report(ROOT.replace("111122223333", "999988887777"), *USERS),
    "a user twice": report(ROOT, *USERS, USERS[0]),
    "latin-1": report(ROOT, report_row("jorg")).replace(b"jorg", b"j\xf6rg"),
    "utf-16": WHOLE.decode().encode("utf-16"),
    "another word": WHOLE.replace(b",false,", b",perhaps,"),
    "no MFA column": WHOLE.replace(b"mfa_active", b"mfa_gone"),
    "a column twice": WHOLE.replace(b"password_last_used", b"mfa_active"),
    "nothing": b"",
    "a header alone": report(),
    "a NUL": WHOLE.replace(b"bob", b"b\x00b"),
}


@pytest.mark.fault(25)
@pytest.mark.parametrize("content", SPOILT.values(), ids=list(SPOILT))
def test_a_spoilt_report_is_unread_and_root_rests_on_the_summary_alone(laboratory, content):
    coverage, root = read(laboratory, content)
    assert (coverage.verdict, coverage.error_code) == (None, ErrorCode.MALFORMED)
    assert (root.verdict, root.error_code) == ("pass", ErrorCode.MALFORMED)
    assert root.payload["active_access_keys"] is None


@pytest.mark.fault(25)
def test_an_old_report_is_as_old_as_it_says(laboratory):
    old = datetime(2026, 11, 23, 2, 0, tzinfo=UTC) - timedelta(hours=5)
    coverage, root = read(laboratory, WHOLE, GeneratedTime=f"{old:%Y-%m-%dT%H:%M:%SZ}")
    assert coverage.source_generated_at == root.source_generated_at == old


@pytest.mark.fault(25)
@pytest.mark.parametrize(
    "time", ["", "12:00Z", "Monday", "10", "2026-11-23", "2026-11-23T02:00:00"]
)
def test_a_report_without_a_whole_time_is_unread(laboratory, time):
    """botocore fills what a time lacks from today's date: an old report would be fresh for ever."""
    coverage, root = read(laboratory, WHOLE, GeneratedTime=time)
    assert (coverage.verdict, coverage.error_code) == (None, ErrorCode.MALFORMED)
    assert root.source_generated_at is None


@pytest.mark.fault(25)
@pytest.mark.parametrize("word", ["STARTED", "INPROGRESS"])
def test_a_report_that_is_never_made_is_not_ready_after_a_minute(laboratory, word):
    account = Account(STATE)
    key = ("iam.GenerateCredentialReport", None, None)
    account.spoil(key, 0, answer_of(key[0], tree_of(key[0], {"State": word})))
    waited = []
    readings = laboratory.collect(account, sleep=waited.append).readings
    coverage = readings[EvidenceType.MFA_COVERAGE]
    assert (coverage.verdict, coverage.error_code) == (None, ErrorCode.NOT_READY)
    assert sum(waited) <= 60
