"""The test session's Postgres server and the databases cloned from its migrated template."""

from pathlib import Path

import psycopg
from filelock import FileLock
from psycopg import sql
from sqlalchemy import Engine

from thirdsentry_pipeline.operations.database import prepare_database
from thirdsentry_pipeline.settings import WAREHOUSE_DATABASE, Role, Settings, with_database
from thirdsentry_pipeline.warehouse.database import engine_for
from thirdsentry_pipeline.warehouse.migrate import close_database


class DatabaseServer:
    """The embedded server of the test session, with all five logins."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.settings = Settings(home=home)

    def url(self, role: Role, database: str) -> str:
        """A login's URL to one of the server's databases."""
        return with_database(self.settings.login_url(role), database)

    def execute(self, *statements: sql.Composed) -> None:
        """Run statements as superuser outside of a transaction."""
        url = self.url("admin", "postgres")
        with psycopg.connect(url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)

    def prepare_template(self) -> None:
        """Migrate the database that others are cloned from, once per session."""
        done = self.home / "template.done"
        with FileLock(self.home / "template.lock"):
            if not done.exists():
                prepare_database(self.settings)
                done.touch()


class WarehouseDatabase:
    """A clone of the migrated template and its URLs; engines are shared within a test."""

    def __init__(
        self, server: DatabaseServer, name: str, template: str = WAREHOUSE_DATABASE
    ) -> None:
        self.server = server
        self.name = name
        self.template = template
        self.is_used = False
        self._engines: dict[Role, Engine] = {}

    def url(self, role: Role) -> str:
        """A login's URL to this database (the dagster login has a database of its own)."""
        if role == "dagster":
            return self.server.settings.login_url(role)
        return self.server.url(role, self.name)

    @property
    def admin_url(self) -> str:
        return self.url("admin")

    @property
    def pipeline_url(self) -> str:
        return self.url("pipeline")

    @property
    def scheduler_url(self) -> str:
        return self.url("scheduler")

    @property
    def transform_url(self) -> str:
        return self.url("transform")

    @property
    def dagster_url(self) -> str:
        return self.url("dagster")

    def engine(self, role: Role) -> Engine:
        """An engine for the login, closed when the database is reset."""
        if role not in self._engines:
            self._engines[role] = engine_for(self.url(role))
        return self._engines[role]

    def settings(self, home: Path) -> Settings:
        """Settings of an installation at ``home`` that uses this database as an external one."""
        return Settings(
            home=home,
            database_url=self.pipeline_url,
            admin_database_url=self.admin_url,
            login_urls={
                "scheduler": self.scheduler_url,
                "transform": self.transform_url,
                "dagster": self.dagster_url,
            },
        )

    def dispose(self) -> None:
        """Close every connection of this worker's engines."""
        for engine in self._engines.values():
            engine.dispose()
        self._engines.clear()

    def reset(self) -> None:
        """Replace the database by a fresh clone."""
        self.drop()
        self.server.execute(
            sql.SQL("create database {} template {} strategy file_copy").format(
                sql.Identifier(self.name), sql.Identifier(self.template)
            )
        )
        # Grants on a database are not cloned with it.
        with self.engine("admin").begin() as connection:
            close_database(connection)
        self.is_used = False

    def drop(self) -> None:
        """Remove the database and cut whoever is connected."""
        self.dispose()
        self.server.execute(
            sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(self.name))
        )
