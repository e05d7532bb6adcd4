"""Knowing that another session waits for a lock, so that a race is one and no guess."""

import time

from sqlalchemy import text

SECONDS = 10.0
WAITERS = text(
    "select count(*) from pg_stat_activity"
    " where datname = current_database() and wait_event_type = 'Lock'"
)


def until_waiting(admin, sessions=1):
    """Return once so many sessions of this database wait for a lock."""
    give_up_at = time.monotonic() + SECONDS
    found = 0
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        while time.monotonic() < give_up_at:
            found = connection.scalar(WAITERS)
            if found >= sessions:
                return
    message = f"{found} sessions wait for a lock, not {sessions}"
    raise AssertionError(message)
