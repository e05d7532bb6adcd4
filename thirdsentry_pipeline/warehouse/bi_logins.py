"""Read-only logins for BI tools and auditors, each bound to one organization by who it is."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from psycopg import errors
from sqlalchemy import select, text

from thirdsentry_pipeline.domain.errors import InputError
from thirdsentry_pipeline.warehouse import audit
from thirdsentry_pipeline.warehouse.refusals import refusals_as_sentences
from thirdsentry_pipeline.warehouse.tables import bi_logins

if TYPE_CHECKING:
    from sqlalchemy import Connection as DatabaseConnection
    from sqlalchemy import RowMapping

ReaderRole = Literal["ts_bi", "ts_auditor"]
_PASSWORD_BYTES = 24
_NAME = re.compile(r"(?!(?:pg|ts|thirdsentry)_)[a-z][a-z0-9_]{2,62}")


@dataclass(frozen=True, slots=True)
class GrantedLogin:
    """A new login; its password is shown once and stored nowhere."""

    login: str
    password: str = field(repr=False)


def parse_login(text: str) -> str:
    """The name, as the database takes it too; raises InputError for any other."""
    if _NAME.fullmatch(text) is None:
        message = (
            "A reader's login is 3 to 63 of a-z, 0-9 and _, starts with a letter and not with "
            "pg_, ts_ or thirdsentry_: for example bi_7f3a."
        )
        raise InputError(message)
    return text


def grant_login(
    c: DatabaseConnection, login: str, *, actor: str, reader_role: ReaderRole = "ts_bi"
) -> GrantedLogin:
    """Make a login that reads this organization and nothing else, whatever it SETs.

    Raises:
        ThirdSentryError: the name is not allowed or is taken.
    """
    password = secrets.token_urlsafe(_PASSWORD_BYTES)
    driver = c.connection.driver_connection
    if driver is None:
        message = "the connection is closed"
        raise RuntimeError(message)
    verifier = driver.pgconn.encrypt_password(
        password.encode(), login.encode(), b"scram-sha-256"
    ).decode()
    taken = f"The login name {login} is taken; choose another one."
    with refusals_as_sentences({errors.DuplicateObject: taken, errors.UniqueViolation: taken}):
        c.execute(
            text("select warehouse.create_bi_login(:login, :verifier, :reader_role, :actor)"),
            {"login": login, "verifier": verifier, "reader_role": reader_role, "actor": actor},
        )
    audit.append(
        c, "bi_login_granted", actor=actor, detail={"login": login, "reader_role": reader_role}
    )
    return GrantedLogin(login, password)


def revoke_login(c: DatabaseConnection, login: str, *, actor: str) -> None:
    """Unbind and drop the login; its open sessions read nothing from the commit on.

    Raises:
        InputError: the organization has no such login.
    """
    dropped = c.scalar(text("select warehouse.drop_bi_login(:login)"), {"login": login})
    if not dropped:
        message = f"The organization has no login {login}."
        raise InputError(message)
    audit.append(c, "bi_login_revoked", actor=actor, detail={"login": login})


def list_logins(c: DatabaseConnection, *, live_only: bool = True) -> list[RowMapping]:
    """The organization's logins, oldest first."""
    query = select(bi_logins).order_by(bi_logins.c.granted_at)
    if live_only:
        query = query.where(bi_logins.c.revoked_at.is_(None))
    return list(c.execute(query).mappings())
