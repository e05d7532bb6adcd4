"""Attempts as data: who tries what, and how the database has to answer."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.integration.tenancy.town import ATTACKER, VICTIM

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tests.integration.tenancy.town import Town

DENIED = "42501"
READ_ONLY = "25006"


@dataclass(frozen=True)
class Attempt:
    """Statements that one login runs in turn.

    ``refused`` is the SQLSTATE that ends them, ``gives`` the exact rows of the last one.
    """

    login: str
    statements: tuple[str, ...]
    refused: str | None = None
    gives: tuple[Any, ...] | None = None


def refused(login: str, *statements: str, by: str = DENIED) -> Attempt:
    """The last statement has to fail, by a missing privilege unless said otherwise."""
    return Attempt(login, statements, by)


def harmless(login: str, *statements: str, gives: Sequence[Any] | None = None) -> Attempt:
    """Every statement is allowed, and shows nothing of the victim."""
    return Attempt(login, statements, gives=None if gives is None else tuple(gives))


@dataclass
class Seen:
    """All that the attacker got to see: rows, notices, notifications, the text of the error."""

    rows: list[Any] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    sqlstate: str | None = None

    @property
    def text(self) -> str:
        return "\n".join([*self.texts, *map(str, self.rows)])


@contextmanager
def intruder(town: Town, login: str) -> Iterator[psycopg.Connection[Any]]:
    """A session as the attacker would have it; the pipeline's is inside the attacker's scope."""
    name, _, unscoped = login.partition(" ")
    with town.connect(name) as connection:
        if name == "pipeline" and not unscoped:
            connection.execute("begin")
            connection.execute("select set_config('app.organization_id', %s, true)", (ATTACKER,))
        else:
            # Readers begin read-only; any session may undo that.
            connection.execute("set default_transaction_read_only = off")
        yield connection


def carry_out(town: Town, attempt: Attempt) -> Seen:
    seen = Seen()
    with intruder(town, attempt.login) as connection:
        connection.add_notice_handler(
            lambda notice: seen.texts.append(
                f"{notice.message_primary} {notice.message_detail} {notice.context}"
            )
        )
        *preparation, last = attempt.statements
        for statement in preparation:
            seen.texts += map(str, run(connection, statement))
        try:
            seen.rows = run(connection, last)
        except psycopg.Error as error:
            seen.sqlstate = error.sqlstate
            seen.texts += [
                str(getattr(error.diag, name))
                for name in ("message_primary", "message_detail", "message_hint", "context")
            ]
    return seen


def run(connection: psycopg.Connection[Any], statement: str) -> list[Any]:
    if statement.startswith("copy") and statement.endswith("stdout"):
        with connection.cursor().copy(statement) as copied:  # type: ignore[arg-type] # a test's SQL
            return [bytes(part).decode() for part in copied]
    cursor = connection.execute(statement)  # type: ignore[arg-type] # a test's SQL
    return cursor.fetchall() if cursor.description else []


def filled_in(town: Town, attempt: Attempt) -> tuple[Attempt, list[str]]:
    """The attempt with the victim's ids written in, and the marks it could not have known."""
    known = {
        "victim": VICTIM,
        "attacker": ATTACKER,
        "victims_login": town.readers["victims_bi"].login,
        "my_login": town.readers["bi"].login,
        **{f"victims_{name}": value for name, value in town.facts.items()},
    }
    written = tuple(
        replace_all(statement, {f"<{name}>": value for name, value in known.items()})
        for statement in attempt.statements
    )
    used = {value for name, value in known.items() if f"<{name}>" in "".join(attempt.statements)}
    unknown = [mark for mark in (*town.marks, VICTIM) if mark not in used]
    return replace(attempt, statements=written), unknown


def replace_all(statement: str, values: Mapping[str, str]) -> str:
    for placeholder, value in values.items():
        statement = statement.replace(placeholder, value)
    return statement


def judge(town: Town, attempt: Attempt) -> Seen:
    """Carry the attempt out; fails when it was answered otherwise, told anything or changed any."""
    concrete, unknown = filled_in(town, attempt)
    before = town.victims_rows()
    seen = carry_out(town, concrete)
    assert seen.sqlstate == attempt.refused, seen.text
    assert attempt.gives is None or seen.rows == list(attempt.gives)
    told = [mark for mark in unknown if mark in seen.text]
    assert told == [], seen.text
    assert town.victims_rows() == before
    return seen


def table_of(attempts: Mapping[str, Attempt]) -> pytest.MarkDecorator:
    """Each attempt as a test case named for what is tried."""
    return pytest.mark.parametrize("attempt", attempts.values(), ids=list(attempts))
