"""Engines for the warehouse's logins."""

from typing import Any, Literal

from psycopg import OperationalError
from psycopg.errors import DeadlockDetected
from sqlalchemy import Engine, NullPool, QueuePool, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from thirdsentry_pipeline.domain.errors import ConfigurationError

STATEMENT_TIMEOUT_SECONDS = 120
LOCK_TIMEOUT_SECONDS = 15
CONNECT_TIMEOUT_SECONDS = 10
POOL_SIZE = 10
POOL_WAIT_SECONDS = 30

# DISCARD ALL but for prepared statements, which psycopg keeps count of itself.
_FORGET = (
    "close all; reset session authorization; reset all; unlisten *;"
    " select pg_catalog.pg_advisory_unlock_all(); discard temporary; discard sequences"
)

# Shut down by an administrator, by a crash, starting, no slot free.
_SERVER_IS_AWAY = ("57P01", "57P02", "57P03", "53300")

IsolationLevel = Literal["AUTOCOMMIT"]


def engine_for(
    url: str,
    *,
    pool: bool = True,
    application_name: str = "thirdsentry",
    statement_timeout_seconds: int = STATEMENT_TIMEOUT_SECONDS,
    lock_timeout_seconds: int = LOCK_TIMEOUT_SECONDS,
    isolation_level: IsolationLevel | None = None,
) -> Engine:
    """An engine on psycopg 3 whose errors never show bound values and whose times are UTC.

    Timeouts are in seconds; 0 means none. Without ``pool`` each connection is closed at once.

    Raises:
        ConfigurationError: the URL is malformed (its text is not repeated).
    """
    try:
        address = make_url(url).set(drivername="postgresql+psycopg")
    except (ArgumentError, ValueError):
        message = "A database URL is malformed: expected postgresql://login:password@host/database."
        raise ConfigurationError(message) from None
    settings = {
        "timezone": "UTC",
        "statement_timeout": f"{statement_timeout_seconds}s",
        "lock_timeout": f"{lock_timeout_seconds}s",
    }
    options = " ".join(f"-c {name}={value}" for name, value in settings.items())
    arguments = {
        "options": options,
        "application_name": application_name,
        "connect_timeout": CONNECT_TIMEOUT_SECONDS,
        # "discard all" drops prepared statements behind psycopg's back.
        "prepare_threshold": None,
    }
    pooling: dict[str, object] = (
        {
            "poolclass": QueuePool,
            "pool_size": POOL_SIZE,
            # Beyond the pool, each use would log in anew: that costs more than what it is for.
            "max_overflow": 0,
            "pool_timeout": POOL_WAIT_SECONDS,
            "pool_pre_ping": True,
            "pool_reset_on_return": None,
        }
        if pool
        else {"poolclass": NullPool}
    )
    if isolation_level is not None:
        pooling["isolation_level"] = isolation_level
    engine = create_engine(address, hide_parameters=True, connect_args=arguments, **pooling)
    if pool:
        event.listen(engine, "reset", _forget_session)
    return engine


def _forget_session(connection: Any, _record: Any, state: Any) -> None:
    """Leave nothing of one scope to the pooled connection's next user.

    A rollback ends the transaction; settings of the session, temporary tables, cursors WITH HOLD,
    advisory locks and LISTEN outlive it.
    """
    if state.terminate_only:
        return
    connection.rollback()
    autocommit = connection.autocommit
    connection.autocommit = True
    connection.execute(_FORGET, prepare=False)
    connection.autocommit = autocommit


def is_deadlock(error: DBAPIError) -> bool:
    """Whether Postgres gave this transaction up so that another could go on."""
    return isinstance(error.orig, DeadlockDetected)


def is_lost_connection(error: DBAPIError) -> bool:
    """Whether the server went away: what was under way, a COMMIT too, may count or may not.

    True for a connection that broke and for a server that can't be reached or is starting.
    """
    if error.connection_invalidated:
        return True
    cause = error.orig
    return isinstance(cause, OperationalError) and cause.sqlstate in {None, *_SERVER_IS_AWAY}
