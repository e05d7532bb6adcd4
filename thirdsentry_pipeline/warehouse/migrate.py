"""Brings a database's warehouse schema to this version of the product."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, text

from thirdsentry_pipeline.domain.errors import ConfigurationError
from thirdsentry_pipeline.warehouse.database import engine_for
from thirdsentry_pipeline.warehouse.readiness import known_revisions, refuse_newer

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = Path(__file__).parent / "migrations"


# Advisory locks are the database's and anyone may take any: a reader that holds the one a build
# or a migration waits for would stop them for everybody. A large object is a place to write, and
# its owner can't be dropped. Only a superuser may take these functions from the public.
_KEEP_FROM_READERS = """
do $$
declare
  one regprocedure;
begin
  for one in
    select p.oid::regprocedure from pg_proc as p
    where p.pronamespace = 'pg_catalog'::regnamespace
      and p.proname ~ '^(pg_(try_)?advisory_(xact_)?lock|lo_(creat|create|from_bytea)$)'
      and has_function_privilege('public', p.oid, 'execute')
  loop
    execute 'grant execute on function ' || one || ' to ts_owner, ts_pipeline, ts_transform';
    execute 'revoke execute on function ' || one || ' from public';
  end loop;
exception
  when insufficient_privilege then null; -- a managed Postgres: readers keep them
end
$$
"""


def _config() -> Config:
    from alembic.config import Config  # noqa: PLC0415 - see upgrade

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _engine(url: str) -> Engine:
    # No pool: what a migration set on its session must not outlive it.
    return engine_for(url, pool=False, application_name="thirdsentry migrate")


def head_revision() -> str:
    """The newest revision this package carries."""
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - see upgrade

    revision = ScriptDirectory.from_config(_config()).get_current_head()
    if revision is None:
        message = "the package carries no migrations: install it again"
        raise ConfigurationError(message)
    return revision


def current_revision(url: str) -> str | None:
    """The revision of the database at ``url``; ``None`` when it has no warehouse."""
    engine = _engine(url)
    with engine.connect() as connection:
        if connection.scalar(text("select to_regclass('warehouse.schema_revision')")) is None:
            return None
        found: str | None = connection.scalar(
            text("select version_num from warehouse.schema_revision")
        )
        return found


def upgrade(admin_url: str) -> None:
    """Apply the revisions that are missing; a second process waits and then finds none.

    ``admin_url`` needs a superuser, or an administrator with CREATEROLE that owns the database.

    Raises:
        ConfigurationError: a newer release migrated the database.
    """
    found = current_revision(admin_url)
    refuse_newer(found)
    engine = _engine(admin_url)
    with engine.connect() as connection:
        if found != known_revisions()[-1]:
            _apply(connection)
        close_database(connection)
        connection.commit()


def _apply(connection: Connection) -> None:
    # Every command on an embedded server asks for the upgrade, and finds nothing to do: importing
    # and starting the migration tool was a third of what a short command costs.
    from alembic import command  # noqa: PLC0415 - as above

    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def close_database(connection: Connection) -> None:
    """Let in the product's roles alone. A copy made from a template needs this again."""
    database = connection.scalar(text("select quote_ident(current_database())"))
    readers = "ts_pipeline, ts_scheduler, ts_transform, ts_bi, ts_backup"
    for statement in (
        # Grants on one database made at the same moment fail: "tuple concurrently updated".
        "select pg_advisory_xact_lock(hashtext('thirdsentry close_database'))",
        f"revoke all on database {database} from public",
        f"grant connect on database {database} to {readers}",
        # Staging by COPY and dbt's incremental models need temporary tables; readers do not.
        f"grant temporary on database {database} to ts_pipeline, ts_transform",
        "grant select on warehouse.schema_revision to ts_pipeline, ts_scheduler, ts_backup",
    ):
        connection.execute(text(statement))
    connection.execute(text(_KEEP_FROM_READERS))
