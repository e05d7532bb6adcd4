"""Clients that nobody here wrote, each doing what a BI tool does: list, describe, read."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote, urlsplit

import adbc_driver_postgresql.dbapi
import nanoarrow
import pandas as pd
import pytest
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMA = "coverage"


class Client(Protocol):
    """What the tests ask of a tool that is connected with a granted URL."""

    def relations(self) -> dict[str, str | None]:
        """Tables and views of the schema with their comments (None: the tool shows none)."""

    def columns(self, relation: str) -> dict[str, str | None]:
        """A relation's columns in order, with their comments."""

    def rows(self, query: str) -> list[dict[str, Any]]:
        """A query's rows, in whatever types the client gives them."""


class Psql:
    """Debian's ``psql``, libpq and its catalogue queries."""

    def __init__(self, url: str) -> None:
        program = shutil.which("psql")
        if program is None:
            pytest.skip("psql is not installed: apt-get install postgresql-client")
        parts = urlsplit(url)
        self._command = [program, "--no-psqlrc", "--csv", "--set=ON_ERROR_STOP=1"]
        self._environment = {
            "PATH": os.environ["PATH"],
            "PGHOST": str(parts.hostname),
            "PGPORT": str(parts.port),
            "PGUSER": str(parts.username),
            "PGPASSWORD": unquote(str(parts.password)),
            "PGDATABASE": parts.path.lstrip("/"),
            "PGCLIENTENCODING": "UTF8",
        }

    def rows(self, query: str) -> list[dict[str, Any]]:
        finished = subprocess.run(
            [*self._command, "--command", query],
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert finished.returncode == 0, finished.stderr
        return list(csv.DictReader(finished.stdout.splitlines()))

    def relations(self) -> dict[str, str | None]:
        return {row["Name"]: row["Description"] for row in self.rows(rf"\dtv+ {SCHEMA}.*")}

    def columns(self, relation: str) -> dict[str, str | None]:
        described = self.rows(rf"\d+ {SCHEMA}.{relation}")
        return {row["Column"]: row["Description"] for row in described}


class Superset:
    """The way of Apache Superset: SQLAlchemy on psycopg2, its inspector, then pandas."""

    def __init__(self, url: str) -> None:
        self._engine = create_engine(
            make_url(url).set(drivername="postgresql+psycopg2"), poolclass=NullPool
        )

    def frame(self, query: str) -> pd.DataFrame:
        with self._engine.connect() as connection:
            return pd.read_sql(text(query), connection)

    def rows(self, query: str) -> list[dict[str, Any]]:
        return self.frame(query).to_dict(orient="records")

    def relations(self) -> dict[str, str | None]:
        inspector = inspect(self._engine)
        assert SCHEMA in inspector.get_schema_names()
        names = [*inspector.get_view_names(SCHEMA), *inspector.get_table_names(SCHEMA)]
        return {name: inspector.get_table_comment(name, SCHEMA)["text"] for name in names}

    def columns(self, relation: str) -> dict[str, str | None]:
        described = inspect(self._engine).get_columns(relation, SCHEMA)
        return {column["name"]: column["comment"] for column in described}


class Adbc:
    """Apache Arrow's ADBC driver: rows come as columns, by COPY in binary."""

    def __init__(self, url: str) -> None:
        self._connection = adbc_driver_postgresql.dbapi.connect(url, autocommit=True)

    def close(self) -> None:
        self._connection.close()

    def rows(self, query: str) -> list[dict[str, Any]]:
        with self._connection.cursor() as cursor:
            cursor.execute(query)
            return nanoarrow.ArrayStream(cursor.fetch_arrow()).read_all().to_pylist()

    def relations(self) -> dict[str, str | None]:
        return {table["table_name"]: None for table in self._tables("tables")}

    def columns(self, relation: str) -> dict[str, str | None]:
        (table,) = self._tables("columns", table_name_filter=relation)
        return {column["column_name"]: column["remarks"] for column in table["table_columns"]}

    def _tables(self, depth: str, **filters: str) -> list[dict[str, Any]]:
        objects = self._connection.adbc_get_objects(depth=depth, db_schema_filter=SCHEMA, **filters)
        catalogs = nanoarrow.ArrayStream(objects).read_all().to_pylist()
        return [
            table
            for catalog in catalogs
            for schema in catalog["catalog_db_schemas"] or []
            for table in schema["db_schema_tables"]
        ]


CLIENTS = {"psql": Psql, "superset": Superset, "adbc": Adbc}


@contextmanager
def connected(name: str, url: str) -> Iterator[Client]:
    """A client of that name on a granted URL; skips the test where the client is not installed."""
    client = CLIENTS[name](url)
    try:
        yield client
    finally:
        if isinstance(client, Adbc):
            client.close()
