"""The only way to a connection: one transaction, inside one organization."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from sqlalchemy import text

from thirdsentry_pipeline.domain.errors import ConfigurationError
from thirdsentry_pipeline.domain.identifiers import parse_organization_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Engine

_ENTER = text(
    "select set_config('app.organization_id', :organization_id, true),"
    " (select r.rolsuper or r.rolbypassrls from pg_catalog.pg_roles as r"
    "  where r.rolname = current_user)"
)


@contextmanager
def organization_scope(engine: Engine, organization_id: str) -> Iterator[Connection]:
    """A transaction that sees and writes this organization's rows alone.

    It commits when the block ends and rolls back when the block raises; the setting ends with
    it, so that a pooled connection never carries an organization to its next user.

    Raises:
        InputError: the id is malformed.
        ConfigurationError: row-level security does not bind the engine's login.
    """
    organization_id = parse_organization_id(organization_id)
    with engine.begin() as connection:
        entered = connection.execute(_ENTER, {"organization_id": organization_id}).one()
        if entered[1]:
            message = (
                "The database login bypasses row-level security: set THIRDSENTRY_DATABASE_URL to "
                "a login that is a member of ts_pipeline and nothing more."
            )
            raise ConfigurationError(message)
        yield connection


def live_organization_ids(
    scheduler: Engine, wanted: Literal["all", "partitioned", "due"] = "all"
) -> list[str]:
    """Ids of the organizations that are not deleted, sorted.

    ``partitioned`` leaves out those whose last connection was revoked; ``due`` keeps those with
    a live connection that does not wait for its next attempt: the others have nothing to sync.
    """
    with scheduler.begin() as connection:
        query = text("select warehouse.live_organization_ids(:wanted)")
        return list(connection.scalars(query, {"wanted": wanted}))
