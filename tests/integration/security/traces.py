"""What a search has to look through, and the forms a secret may have taken there."""

from __future__ import annotations

import base64
import os
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote_plus, urlsplit

import psycopg
from psycopg import sql

if TYPE_CHECKING:
    from collections.abc import Iterator

STORES = (
    "warehouse",
    "dagster database",
    "data directory",
    "write-ahead log",
    "dagster home",
    "compute logs",
    "rest of the home",
    "temporary files",
    "standard output",
    "standard error",
)
EVERY_TABLE = """
    select n.nspname, c.relname from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
    where c.relkind = 'r' and n.nspname not in ('pg_catalog', 'information_schema')
"""
DATABASES = {"thirdsentry": "warehouse", "dagster": "dagster database"}


@dataclass
class Traces:
    """Everything that was left behind, by the store that it is in."""

    found: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))

    def hold(self, secret: bytes) -> list[str]:
        """The stores that hold the secret, in any of its forms."""
        forms = forms_of(secret)
        return [
            store
            for store in STORES
            if any(form in content for content in self.found[store] for form in forms)
        ]

    def add_databases(self, admin_url: str) -> None:
        """Copy out every table of both databases as the superuser."""
        server = urlsplit(admin_url)
        for database, store in DATABASES.items():
            with psycopg.connect(server._replace(path=f"/{database}").geturl()) as connection:
                tables = connection.execute(EVERY_TABLE).fetchall()
                for schema, table in tables:
                    copy = sql.SQL("copy {} to stdout").format(sql.Identifier(schema, table))
                    with connection.cursor().copy(copy) as rows:
                        self.found[store].append(b"".join(map(bytes, rows)))

    def add_files(self, home: Path, data_directory: Path, temporary: Path) -> None:
        """Read every file below the home, the server's data and the temporary directory."""
        for path, content in {**dict(files(home)), **dict(files(data_directory))}.items():
            self.found[store_of(path, home, data_directory)].append(content)
        self.found["temporary files"] += [content for _, content in files(temporary)]


def files(directory: Path) -> Iterator[tuple[Path, bytes]]:
    """Every file below a directory and its content, but what the server takes away meanwhile."""
    for parent, _, names in os.walk(directory):
        for path in (Path(parent, name) for name in names):
            with suppress(FileNotFoundError):
                if path.is_file():
                    yield path, path.read_bytes()


def store_of(path: Path, home: Path, data_directory: Path) -> str:
    if path.is_relative_to(data_directory / "pg_wal"):
        return "write-ahead log"
    if path.is_relative_to(data_directory):
        return "data directory"
    if path.is_relative_to(home / "dagster" / "compute_logs"):
        return "compute logs"
    return "dagster home" if path.is_relative_to(home / "dagster") else "rest of the home"


def forms_of(secret: bytes) -> list[bytes]:
    """The secret itself, in hexadecimal, in a URL, and in base64 at any offset."""
    forms = [secret, secret.hex().encode(), secret.hex().upper().encode()]
    forms.append(quote_plus(secret).encode())
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + secret)
        whole = encoded[4 if offset else 0 : len(encoded) - 4]
        forms += [whole, whole.translate(bytes.maketrans(b"+/", b"-_"))]
    return forms
