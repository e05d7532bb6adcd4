"""The IAM credential report: ask for it, wait for it, read it strictly."""

from __future__ import annotations

import csv
import io
import operator
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from thirdsentry_pipeline.aws import shapes
from thirdsentry_pipeline.aws.errors import AnswerTooLargeError, MalformedAnswerError
from thirdsentry_pipeline.domain.evidence import ErrorCode
from thirdsentry_pipeline.domain.facts import CredentialReport, CredentialReportRow, Unread
from thirdsentry_pipeline.domain.time import utc_now

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    import pandas as pd

    from thirdsentry_pipeline.aws.account_session import AccountSession
    from thirdsentry_pipeline.domain.time import Clock

Table: TypeAlias = "Callable[[], pd.DataFrame]"
"""Makes the table of a report for who wants to look at it."""

GENERATE_REPORT = "iam:GenerateCredentialReport"
GET_REPORT = "iam:GetCredentialReport"
ROOT_USER = "<root_account>"
_COLUMNS = (
    "user",
    "arn",
    "password_enabled",
    "mfa_active",
    "access_key_1_active",
    "access_key_2_active",
)
_PASSWORD_WORDS = frozenset({"true", "false", "not_supported", "no_information", "n/a"})
_FLAG_WORDS = {"true": True, "false": False}
# A key that can't exist is no active key; whether MFA is on has no such word.
_KEY_WORDS = {**_FLAG_WORDS, "n/a": False, "not_supported": False}
_PENDING = frozenset({"STARTED", "INPROGRESS"})
_MOST_USERS = 50_000
_WAIT_SECONDS = 60.0
_LONGEST_PAUSE_SECONDS = 8.0


@dataclass(frozen=True, slots=True)
class Wait:
    """How to wait: the clock that says how long it took, and the pause itself in seconds."""

    clock: Clock = utc_now
    sleep: Callable[[float], None] = time.sleep


def read_report(session: AccountSession, wait: Wait) -> tuple[CredentialReport, Table] | Unread:
    """The report and its table; ``not_ready`` when AWS is still at it after 60 s of waiting."""
    client = session.client("iam", session.default_region)
    if not _is_complete(client, wait):
        return Unread(ErrorCode.NOT_READY, GENERATE_REPORT)
    answer = client.get_credential_report()
    if shapes.text(answer, "ReportFormat") != "text/csv":
        message = "ReportFormat is not text/csv"
        raise MalformedAnswerError(message)
    content = shapes.member(answer, "Content")
    if not isinstance(content, bytes):
        message = "Content is not bytes"
        raise MalformedAnswerError(message)
    generated_at = shapes.moment(answer, "GeneratedTime")
    return parse_report(content, generated_at, session.account_id)


def _is_complete(client: Any, wait: Wait) -> bool:
    started = wait.clock()
    pause, waited = 1.0, 0.0
    while True:
        state = shapes.text(client.generate_credential_report(), "State")
        if state == "COMPLETE":
            return True
        if state not in _PENDING:
            message = "State is none of the three AWS documents"
            raise MalformedAnswerError(message)
        spent = max(waited, (wait.clock() - started).total_seconds())
        if spent + pause > _WAIT_SECONDS:
            return False
        wait.sleep(pause)
        waited += pause
        pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)


def parse_report(
    content: bytes, generated_at: datetime, account_id: str
) -> tuple[CredentialReport, Table]:
    """Read the CSV by header name.

    Raises:
        MalformedAnswerError: it is not UTF-8, a row is cut or too long, a column we need is
            missing or holds an unknown word, a user (root too) is repeated or of another
            account, or there is no root row.
    """
    decoded = _decoded(content)
    rows = [_row(*cells) for cells in _cells(decoded)]
    shapes.without_repeats((row.user for row in rows), "users")
    if any(row.arn.split(":")[4:5] != [account_id] for row in rows):
        message = "a row is of another account"
        raise MalformedAnswerError(message)
    root = next((row for row in rows if row.user == ROOT_USER), None)
    if root is None:
        message = "there is no root row"
        raise MalformedAnswerError(message)
    users = tuple(row for row in rows if row.user != ROOT_USER)
    return CredentialReport(generated_at, root, users), partial(_table, decoded)


def _decoded(content: bytes) -> str:
    try:
        decoded = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        message = "the report is not UTF-8"
        raise MalformedAnswerError(message) from None
    if "\x00" in decoded:
        message = "the report holds a NUL"
        raise MalformedAnswerError(message)
    return decoded


def _table(decoded: str) -> pd.DataFrame:
    """Every column, as it stands; for a hundred users it takes longer than reading them."""
    import pandas as pd  # noqa: PLC0415 - half a second, for those who look at a table alone

    # In one piece: putting pandas' chunks together takes longer than reading them.
    return pd.read_csv(
        io.StringIO(decoded), dtype=str, keep_default_na=False, na_filter=False, low_memory=False
    )


def _cells(decoded: str) -> Iterator[tuple[str, ...]]:
    """The cells we read of every row, in our order; each row is as wide as the header."""
    try:
        rows = csv.reader(io.StringIO(decoded), strict=True)
        header = next(rows, [])
        wanted = _wanted(header)
        for count, row in enumerate(rows, start=1):
            if len(row) != len(header):
                message = "a row of the report is cut or too long"
                raise MalformedAnswerError(message)
            if count > _MOST_USERS + 1:
                message = f"the report has more than {_MOST_USERS} users"
                raise AnswerTooLargeError(message)
            yield wanted(row)
    except csv.Error:
        message = "the report is not a CSV table"
        raise MalformedAnswerError(message) from None


def _wanted(header: list[str]) -> Callable[[list[str]], tuple[str, ...]]:
    if len(set(header)) != len(header):
        message = "two columns of the report have one name"
        raise MalformedAnswerError(message)
    missing = [name for name in _COLUMNS if name not in header]
    if missing:
        message = f"the report has no column {missing[0]}"
        raise MalformedAnswerError(message)
    return operator.itemgetter(*(header.index(name) for name in _COLUMNS))


def _row(  # noqa: PLR0917 - the columns we read, in order
    user: str, arn: str, password_enabled: str, mfa_active: str, key_1: str, key_2: str
) -> CredentialReportRow:
    word = password_enabled.lower()
    if word not in _PASSWORD_WORDS:
        message = "password_enabled holds an unknown word"
        raise MalformedAnswerError(message)
    return CredentialReportRow(
        user=shapes.text({"user": user}, "user"),
        arn=shapes.text({"arn": arn}, "arn"),
        password_enabled=word,
        mfa_active=_said(mfa_active, _FLAG_WORDS, "mfa_active"),
        access_key_1_active=_said(key_1, _KEY_WORDS, "access_key_1_active"),
        access_key_2_active=_said(key_2, _KEY_WORDS, "access_key_2_active"),
    )


def _said(word: str, words: dict[str, bool], column: str) -> bool:
    value = words.get(word.lower())
    if value is None:
        message = f"{column} holds an unknown word"
        raise MalformedAnswerError(message)
    return value
