import base64
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.aws.canned import ACCOUNT, xml
from thirdsentry_pipeline.aws import credential_report
from thirdsentry_pipeline.aws.credential_report import Wait, parse_report, read_report
from thirdsentry_pipeline.aws.errors import AnswerTooLargeError, MalformedAnswerError
from thirdsentry_pipeline.aws.reading import attempt
from thirdsentry_pipeline.domain.evidence import ErrorCode
from thirdsentry_pipeline.domain.facts import CredentialReportRow, Unread

AT = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
HEADER = (
    "user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,"
    "password_next_rotation,mfa_active,access_key_1_active,access_key_1_last_rotated,"
    "access_key_1_last_used_date,access_key_1_last_used_region,access_key_1_last_used_service,"
    "access_key_2_active,access_key_2_last_rotated,access_key_2_last_used_date,"
    "access_key_2_last_used_region,access_key_2_last_used_service,cert_1_active,"
    "cert_1_last_rotated,cert_2_active,cert_2_last_rotated"
)
TIME = "2014-09-01T22:28:48+00:00"


def row(user, *, arn=None, signs_in="true", mfa="true", key_1="false", key_2="false"):
    arn = arn or f"arn:aws:iam::{ACCOUNT}:user/{user}"
    return (
        f"{user},{arn},{TIME},{signs_in},no_information,{TIME},N/A,{mfa},{key_1},N/A,N/A,N/A,N/A,"
        f"{key_2},N/A,N/A,N/A,N/A,false,N/A,false,N/A"
    )


ROOT = row("<root_account>", arn=f"arn:aws:iam::{ACCOUNT}:root", signs_in="not_supported")


def report(*rows, header=HEADER, end="\n"):
    return end.join([header, *rows]).encode()


def parse(content):
    return parse_report(content, AT, ACCOUNT)[0]


def test_rows_are_read_by_header_name_as_they_stand():
    parsed = parse(report(ROOT, row("NA", mfa="false", key_2="true"), row("null")))
    assert parsed.generated_at == AT
    assert parsed.root.password_enabled == "not_supported"
    assert parsed.users == (
        CredentialReportRow(
            user="NA",
            arn=f"arn:aws:iam::{ACCOUNT}:user/NA",
            password_enabled="true",
            mfa_active=False,
            access_key_1_active=False,
            access_key_2_active=True,
        ),
        CredentialReportRow(
            user="null",
            arn=f"arn:aws:iam::{ACCOUNT}:user/null",
            password_enabled="true",
            mfa_active=True,
            access_key_1_active=False,
            access_key_2_active=False,
        ),
    )


def test_the_table_holds_every_column():
    _, as_table = parse_report(report(ROOT, row("a")), AT, ACCOUNT)
    table = as_table()
    assert list(table.columns) == HEADER.split(",")
    assert table.shape == (2, 22)
    assert table["password_next_rotation"].tolist() == ["N/A", "N/A"]


def moved(content):
    """The same report with its columns in reverse order."""
    lines = content.decode().split("\n")
    return "\n".join(",".join(reversed(line.split(","))) for line in lines).encode()


@pytest.mark.parametrize(
    "variant",
    [
        lambda plain: b"\xef\xbb\xbf" + plain,
        lambda plain: plain.replace(b"\n", b"\r\n"),
        lambda plain: plain + b"\n",
        moved,
        lambda plain: plain.replace(b"true", b"TRUE"),
        lambda plain: (
            plain.replace(b"\n", b",new_column\n", 1).replace(b"false,N/A\n", b"false,N/A,x\n")
            + b",x"
        ),
    ],
    ids=["bom", "crlf", "final-newline", "columns-moved", "upper-case", "new-column"],
)
def test_harmless_variants_read_the_same(variant):
    plain = report(ROOT, row("a"), row("b", mfa="false"))
    assert parse(variant(plain)) == parse(plain)
    parsed, as_table = parse_report(variant(plain), AT, ACCOUNT)
    rows = [parsed.root, *parsed.users]
    assert as_table()["user"].tolist() == [one.user for one in rows]
    assert as_table()["arn"].tolist() == [one.arn for one in rows]


GOOD = report(ROOT, row("a"))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n\n",
        b"user,arn\n",
        report(),
        report(row("a")),
        report(ROOT, ROOT),
        report(ROOT, row("a"), row("a")),
        report(ROOT, row("a"))[:-12],
        report(ROOT, row("a") + ",more"),
        report(ROOT[:-30], row("a")),
        GOOD.replace(b"mfa_active", b"mfa_activ"),
        GOOD.replace(b"user_creation_time", b"mfa_active"),
        GOOD.replace(b"/a,", b"/\xff,"),
        GOOD.replace(b"/a,", b"/\x00,"),
        report(ROOT, row('"a')),
        report(ROOT, row("a", mfa="yes")),
        report(ROOT, row("a", mfa="")),
        report(ROOT, row("a", mfa="N/A")),
        report(ROOT, row("a", signs_in="maybe")),
        report(ROOT, row("a", key_1="Active")),
        report(ROOT, row("")),
        report(ROOT, row("a", arn="arn:aws:iam::999988887777:user/a")),
        report(ROOT, row("a", arn="none")),
        GOOD.decode().encode("utf-16"),
    ],
)
def test_a_report_that_may_be_wrong_is_no_report(content):
    with pytest.raises(MalformedAnswerError):
        parse(content)


@given(cut=st.integers(min_value=0, max_value=len(GOOD) - 1))
def test_a_report_cut_anywhere_never_loses_a_user(cut):
    try:
        parsed = parse(GOOD[:cut])
    except MalformedAnswerError:
        return
    # All that is left: a cut inside the last row's last cell, or at the very end of root's row.
    assert parsed.root is not None
    assert (
        parsed.users == parse(GOOD).users
        or GOOD[:cut].rstrip() == report(ROOT)[: len(GOOD[:cut].rstrip())]
    )


@given(
    content=st.binary(max_size=300)
    | st.text(max_size=300).map(lambda t: HEADER.encode() + b"\n" + t.encode("utf-8", "replace"))
)
def test_no_bytes_make_the_parser_fail_otherwise_than_malformed(content):
    try:
        parse(content)
    except MalformedAnswerError:
        return
    pytest.fail("random bytes were taken for a report")


def test_more_users_than_the_cap_are_unread_and_not_cut(monkeypatch):
    monkeypatch.setattr(credential_report, "_MOST_USERS", 2)
    assert len(parse(report(ROOT, row("a"), row("b"))).users) == 2
    with pytest.raises(AnswerTooLargeError):
        parse(report(ROOT, row("a"), row("b"), row("c")))


# --- asking for it


class Pauses:
    """A clock that only its own ``sleep`` moves."""

    def __init__(self):
        self.now = AT
        self.taken = []

    def clock(self):
        return self.now

    def sleep(self, seconds):
        self.taken.append(seconds)
        self.now += timedelta(seconds=seconds)

    @property
    def wait(self):
        return Wait(self.clock, self.sleep)


def state(word):
    return xml("GenerateCredentialReport", f"<State>{word}</State>")


def content(body=GOOD, form="text/csv", when="2026-11-23T02:00:00Z"):
    encoded = base64.b64encode(body).decode()
    return xml(
        "GetCredentialReport",
        f"<Content>{encoded}</Content><ReportFormat>{form}</ReportFormat>"
        f"<GeneratedTime>{when}</GeneratedTime>",
    )


def test_a_report_is_polled_until_it_is_complete(aws, session):
    pauses = Pauses()
    aws.answer(
        "iam.GenerateCredentialReport", state("STARTED"), state("INPROGRESS"), state("COMPLETE")
    )
    aws.answer("iam.GetCredentialReport", content())
    parsed, _ = read_report(session, pauses.wait)
    assert pauses.taken == [1, 2]
    assert parsed.generated_at == AT


def test_a_report_that_never_completes_is_not_ready_within_a_minute(aws, session):
    pauses = Pauses()
    aws.answer("iam.GenerateCredentialReport", state("STARTED"))
    assert read_report(session, pauses.wait) == Unread(
        ErrorCode.NOT_READY, "iam:GenerateCredentialReport"
    )
    assert pauses.taken[:4] == [1, 2, 4, 8]
    assert 50 <= sum(pauses.taken) <= 60


def test_slow_answers_count_as_waiting_too(aws, session):
    pauses = Pauses()
    ticking = Wait(lambda: pauses.clock() + timedelta(seconds=30 * len(aws.requests)), pauses.sleep)
    aws.answer("iam.GenerateCredentialReport", state("STARTED"))
    assert isinstance(read_report(session, ticking), Unread)
    assert len(aws.requests) < 4


@pytest.mark.parametrize(
    "answers",
    [
        [state("DONE"), content()],
        [xml("GenerateCredentialReport", ""), content()],
        [state("COMPLETE"), content(form="text/xml")],
        [state("COMPLETE"), content(when="yesterday")],
        [state("COMPLETE"), content().replace("<Content>", "<Content>a")],
        [state("COMPLETE"), xml("GetCredentialReport", "")],
        [state("COMPLETE"), "<html>"],
    ],
)
def test_unexpected_answers_are_malformed(aws, session, answers):
    aws.answer("iam.GenerateCredentialReport", answers[0])
    aws.answer("iam.GetCredentialReport", answers[1])
    outcome = attempt("iam:Report", lambda: read_report(session, Pauses().wait))
    assert outcome == Unread(ErrorCode.MALFORMED, "iam:Report")


def test_a_report_that_expired_in_between_is_not_ready(aws, session):
    aws.answer("iam.GenerateCredentialReport", state("COMPLETE"))
    aws.deny("iam.GetCredentialReport", "ReportExpired", status=410)
    outcome = attempt("iam:Report", lambda: read_report(session, Pauses().wait))
    assert outcome == Unread(ErrorCode.NOT_READY, "iam:GetCredentialReport")
