"""Whether a login and a schema are ones that this release may work with, asked before any work."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from psycopg.errors import InsufficientPrivilege, InvalidSchemaName, UndefinedTable
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from thirdsentry_pipeline.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Engine

VERSIONS = Path(__file__).parent / "migrations" / "versions"
PIPELINE_VARIABLE = "THIRDSENTRY_DATABASE_URL"

_POWERFUL = """
    select r.rolname from pg_catalog.pg_roles as r
    where (r.rolsuper or r.rolbypassrls or r.rolname in ('ts_owner', 'ts_checker'))
      and pg_catalog.pg_has_role(session_user, r.oid, 'member')
    order by r.rolname <> session_user, r.rolname
    limit 1
"""
_SAFE = text(_POWERFUL)
_READY = text(
    f"select ({_POWERFUL}) as powerful, clock_timestamp() as now,"
    " (select max(version_num) from warehouse.schema_revision) as revision"
)


def require_safe_login(engine: Engine, variable: str = PIPELINE_VARIABLE) -> None:
    """Refuse a login that row security does not bind, or that could become one.

    ``variable`` is the setting that holds the engine's URL.

    Raises:
        ConfigurationError: the login is, or may become, a superuser, a role that bypasses row
            security, or the owner of the tables.
    """
    with engine.connect() as connection:
        _refuse_powerful(connection.scalar(_SAFE), variable)


def require_ready(engine: Engine, variable: str = PIPELINE_VARIABLE) -> datetime:
    """Refuse an all-powerful login and another release's schema; returns Postgres' own time.

    One question in one round trip. ``variable`` is the setting that holds the engine's URL.

    Raises:
        ConfigurationError: as ``require_safe_login`` and ``require_revision``.
    """
    try:
        with engine.connect() as connection:
            found = connection.execute(_READY).one()
    except ProgrammingError as error:
        if isinstance(error.orig, UndefinedTable | InvalidSchemaName | InsufficientPrivilege):
            # The login is judged first: it is what an operator gets wrong with an old schema too.
            require_safe_login(engine, variable)
            require_revision(None)
        raise
    _refuse_powerful(found.powerful, variable)
    require_revision(found.revision)
    now: datetime = found.now
    return now


def require_revision(revision: str | None) -> None:
    """Refuse a schema that is older or newer than this release.

    Raises:
        ConfigurationError: it is; the sentence says what to run or to install.
    """
    refuse_newer(revision)
    newest = known_revisions()[-1]
    if revision == newest:
        return
    state = "has no schema" if revision is None else f"is at revision {revision}"
    message = (
        f"The warehouse {state} and this release needs {newest}: run `thirdsentry db migrate`."
    )
    raise ConfigurationError(message)


def refuse_newer(revision: str | None) -> None:
    """Refuse a schema that only a newer release knows.

    Raises:
        ConfigurationError: it is.
    """
    known = known_revisions()
    if revision is not None and revision not in known:
        message = (
            f"The warehouse is at revision {revision}, which is newer than this release's "
            f"{known[-1]}: install the newer release."
        )
        raise ConfigurationError(message)


def known_revisions() -> list[str]:
    """The revisions this package carries, oldest first.

    Told by their files' names: importing the migration tool would cost every run a third of a
    second.
    """
    files = VERSIONS.glob("[0-9]*_*.py")
    return sorted(path.name.partition("_")[0] for path in files)


def _refuse_powerful(role: str | None, variable: str) -> None:
    if role is None:
        return
    needed = "ts_pipeline" if variable == PIPELINE_VARIABLE else "its own role"
    message = (
        f"The login of {variable} can act as {role}, which row security does not bind: "
        f"use a login that is a member of {needed} alone."
    )
    raise ConfigurationError(message)
