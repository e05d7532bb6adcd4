"""One part of a bulk load: columns of facts, as the server takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from psycopg import OperationalError
from psycopg.adapt import PyFormat, Transformer
from psycopg.pq import ExecStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from psycopg import Connection
    from psycopg.pq.abc import PGresult
    from sqlalchemy import Connection as DatabaseConnection

SHARED = {
    "connection_id": "uuid",
    "account_id": "text",
    "evidence_type": "text",
    "subject": "text",
    "verdict": "text",
    "schema_version": "integer",
    "first_run_id": "uuid",
}
"""Columns that many facts have in common, and their types."""
OWN = {"fingerprint": "text", "payload": "jsonb", "payload_canonical": "text"}
FED = (*SHARED, *OWN)
"""The columns that ``feed`` gives."""
_OF_EACH = {"place": "integer", "evidence_id": "uuid", **OWN}
_ARRAYS = (*SHARED, *_OF_EACH)
_SENT_AS_TEXT = {"jsonb", "uuid"}


def _insert(parameters: Mapping[str, str]) -> str:
    """The statement, with its parameters as its sender writes them.

    What facts have in common is sent once, and each fact says where among it its own stands.
    """
    # Beside each other in the select list, the arrays are read in step and never copied into
    # rows of their own. The organization is asked for once and not per row.
    unnested = ", ".join(
        f"cast(unnest(cast({parameters[name]} as text[])) as {kind}) as {name}"
        if kind in _SENT_AS_TEXT
        else f"unnest(cast({parameters[name]} as {kind}[])) as {name}"
        for name, kind in _OF_EACH.items()
    )
    shared = ", ".join(
        f"(cast({parameters[name]} as {kind}[]))[facts.place]" for name, kind in SHARED.items()
    )
    return f"""
        insert into warehouse.evidence
            (organization_id, {", ".join(SHARED)}, evidence_id, {", ".join(OWN)})
        select
            (select warehouse.require_organization()), {shared},
            facts.evidence_id, {", ".join(f"facts.{name}" for name in OWN)}
        from (select {unnested}) as facts
    """


_STORE_NEW = _insert({name: f"${n}" for n, name in enumerate(_ARRAYS, 1)}).encode()
# In the driver's own words for their "b": as text, arrays cost more than all the rest.
_STORE_UNKNOWN = f"""
    {_insert({name: f"%({name})b" for name in _ARRAYS})}
    on conflict (organization_id, fingerprint) do nothing
"""


class PartWriter:
    """Stores one part after another, in a thread of its own beside others.

    The statement is handed to libpq, which sends, waits and receives by itself: the driver would
    ask for Python's lock whenever the socket takes some more, and wait five milliseconds each
    time for who makes another part.
    """

    def __init__(self, c: DatabaseConnection) -> None:
        self._c = c
        self._driver: Connection[Any] = cast("Connection[Any]", c.connection.driver_connection)
        self._dumping = Transformer(self._driver)
        self._c.exec_driver_sql("savepoint before_part")

    def store(self, arrays: dict[str, list[object]]) -> int:
        """How many were stored of these columns, in one statement if it can be.

        Looking for each is dearer, and left for when a fact turns out to be known after all.
        """
        if not arrays:
            return 0
        result = self._sent([arrays[name] for name in _ARRAYS])
        if result is not None and result.status == ExecStatus.COMMAND_OK:
            stored = result.command_tuples or 0
        else:
            self._c.exec_driver_sql("rollback to savepoint before_part")
            # Whatever else was wrong is wrong again, and then raised.
            stored = self._c.exec_driver_sql(_STORE_UNKNOWN, arrays).rowcount
        # Both in one message: the server waits between two parts.
        self._c.exec_driver_sql(
            "release savepoint before_part; savepoint before_part",
            execution_options={"no_parameters": True},
        )
        return stored

    def _sent(self, columns: list[list[object]]) -> PGresult | None:
        """The outcome; ``None`` when the connection broke."""
        values = self._dumping.dump_sequence(columns, [PyFormat.BINARY] * len(columns))
        try:
            return self._driver.pgconn.exec_params(
                _STORE_NEW, values, self._dumping.types or (), self._dumping.formats or ()
            )
        except OperationalError:
            return None
