"""Alembic's environment: one transaction per revision, under timeouts and one advisory lock.

``warehouse.migrate`` hands over an open connection; nothing is read from an ini file.
"""

from __future__ import annotations

from alembic import context
from sqlalchemy import text

LOCK_TIMEOUT = "10s"
STATEMENT_TIMEOUT = "120s"
ADVISORY_LOCK = 0x7473_6D69_6772  # "tsmigr": one migration at a time in a database

connection = context.config.attributes["connection"]

connection.execute(text(f"set lock_timeout = '{LOCK_TIMEOUT}'"))
connection.execute(text(f"set statement_timeout = '{STATEMENT_TIMEOUT}'"))
connection.execute(text("select pg_advisory_lock(:key)"), {"key": ADVISORY_LOCK})
connection.execute(text("create schema if not exists warehouse"))
connection.commit()
try:
    context.configure(
        connection=connection,
        transaction_per_migration=True,
        version_table="schema_revision",
        version_table_schema="warehouse",
    )
    with context.begin_transaction():
        context.run_migrations()
finally:
    connection.rollback()
    connection.execute(text("select pg_advisory_unlock(:key)"), {"key": ADVISORY_LOCK})
    connection.commit()
