"""The logins that hold the warehouse's roles, and the databases they work in.

Both may be asked for any number of times and from several processes at once. Passwords reach
the server as SCRAM verifiers alone, so its log and its statistics never see one.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

import psycopg
from psycopg import sql

MEMBERSHIPS: Mapping[str, str] = {
    "thirdsentry_pipeline": "ts_pipeline",
    "thirdsentry_scheduler": "ts_scheduler",
    "thirdsentry_transform": "ts_transform",
}
MAINTENANCE_DATABASE = "postgres"
LOCK_KEY = 7_416_223_901
CONNECT_SECONDS = 10
LOCK_SECONDS = 120
ROLES_HAVE_SET_OPTION = 160_000


def ensure_logins(
    admin_url: str,
    logins: Mapping[str, str],
    *,
    memberships: Mapping[str, str] = MEMBERSHIPS,
    replace_passwords: bool = True,
) -> set[str]:
    """Make the logins (name to password) with their one role; returns those that were there.

    ``replace_passwords=False`` leaves the password of a login that was there. The roles come
    from the migrations, which have to run first.
    """
    existing = set()
    with exclusive(admin_url) as connection, connection.transaction():
        for name, password in sorted(logins.items()):
            verifier = connection.pgconn.encrypt_password(
                password.encode(), name.encode(), b"scram-sha-256"
            ).decode()
            found = connection.execute("select from pg_roles where rolname = %s", [name])
            if found.rowcount:
                existing.add(name)
            else:
                connection.execute(sql.SQL("create role {} login").format(sql.Identifier(name)))
            if name not in existing or replace_passwords:
                connection.execute(
                    sql.SQL("alter role {} login password {}").format(
                        sql.Identifier(name), sql.Literal(verifier)
                    )
                )
            if name in memberships:
                join_role(connection, memberships[name], name)
    return existing


def ensure_database(admin_url: str, name: str, *, owner: str | None = None) -> None:
    """Make the database when it is missing; one with an owner is closed to everybody else."""
    with exclusive(admin_url) as connection:
        found = connection.execute("select from pg_database where datname = %s", [name])
        if not found.rowcount:
            if owner is not None:
                # A managed Postgres' administrator must be able to act as the owner.
                join_role(connection, owner, connection.info.user)
            connection.execute(
                sql.SQL("create database {} encoding 'UTF8' template template0").format(
                    sql.Identifier(name)
                )
            )
        if owner is not None:
            for statement in (
                "alter database {name} owner to {owner}",
                "revoke all on database {name} from public",
            ):
                connection.execute(
                    sql.SQL(statement).format(
                        name=sql.Identifier(name), owner=sql.Identifier(owner)
                    )
                )


def close_other_databases(admin_url: str) -> None:
    """Keep everybody but superusers out of what initdb made, on a server that is ours alone.

    A reader could store there, and a session in ``template1`` stops ``create database``.
    """
    with exclusive(admin_url) as connection:
        for name in (MAINTENANCE_DATABASE, "template1"):
            open_to_all = connection.execute(
                "select has_database_privilege('public', %s, 'connect')", [name]
            ).fetchone()
            if open_to_all == (True,):
                connection.execute(
                    sql.SQL("revoke all on database {} from public").format(sql.Identifier(name))
                )


def may_log_in(url: str) -> bool:
    """Whether a server known to answer lets the login of the URL in."""
    try:
        psycopg.connect(url, connect_timeout=CONNECT_SECONDS).close()
    except psycopg.OperationalError:
        return False
    return True


def join_role(connection: psycopg.Connection, role: str, member: str) -> None:
    """Let the member act as the role, unless it can already (a superuser always can)."""
    # From 16 on, making a role gives a membership that does not include acting as it.
    right = "member" if connection.info.server_version < ROLES_HAVE_SET_OPTION else "set"
    held = connection.execute("select pg_has_role(%s, %s, %s)", [member, role, right]).fetchone()
    if held is None or not held[0]:
        connection.execute(
            sql.SQL("grant {} to {}").format(sql.Identifier(role), sql.Identifier(member))
        )


@contextmanager
def exclusive(admin_url: str) -> Iterator[psycopg.Connection]:
    """An administrator's connection that no other preparation runs beside."""
    connection = connect(admin_url)
    try:
        connection.execute(f"set lock_timeout = '{LOCK_SECONDS}s'")
        connection.execute("select pg_advisory_lock(%s)", [LOCK_KEY])
        yield connection
    finally:
        connection.close()


def connect(admin_url: str) -> psycopg.Connection:
    """Connect to the URL's database, or to ``postgres`` as long as that does not exist."""
    try:
        return psycopg.connect(admin_url, autocommit=True, connect_timeout=CONNECT_SECONDS)
    except psycopg.OperationalError:
        # The reason comes as a text in the server's language: asking another way is surer.
        with suppress(psycopg.OperationalError):
            return psycopg.connect(
                admin_url,
                dbname=MAINTENANCE_DATABASE,
                autocommit=True,
                connect_timeout=CONNECT_SECONDS,
            )
        raise
