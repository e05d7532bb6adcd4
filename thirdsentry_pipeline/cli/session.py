"""What a command opens before it works: settings, Postgres, the warehouse."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine

from thirdsentry_pipeline.domain.errors import InputError
from thirdsentry_pipeline.local.database import database_for_command
from thirdsentry_pipeline.settings import Role, Settings
from thirdsentry_pipeline.warehouse.database import engine_for
from thirdsentry_pipeline.warehouse.organizations import get_organization
from thirdsentry_pipeline.warehouse.scope import live_organization_ids, organization_scope


@contextmanager
def running_database() -> Iterator[Settings]:
    """Settings of a reachable, migrated warehouse; started for the duration when embedded."""
    with database_for_command(Settings.from_environment()) as settings:
        yield settings


@contextmanager
def login_engine(settings: Settings, login: Role) -> Iterator[Engine]:
    """The warehouse through one of our logins; disposed of on exit."""
    engine = engine_for(settings.login_url(login), application_name="thirdsentry-cli")
    try:
        yield engine
    finally:
        engine.dispose()


def require_organization(connection: Connection, organization_id: str) -> str:
    """The organization's name; raises InputError when there is none with that id."""
    organization = get_organization(connection)
    if organization is None:
        message = (
            f"There is no organization {organization_id}: see `thirdsentry organization list`, "
            "or add it with `thirdsentry organization add`."
        )
        raise InputError(message)
    return organization.name


def organization_names(settings: Settings, pipeline: Engine) -> dict[str, str]:
    """Every live organization's id and name; each is read inside its own scope."""
    with login_engine(settings, "scheduler") as scheduler:
        ids = live_organization_ids(scheduler)
    names = {}
    for organization_id in ids:
        with organization_scope(pipeline, organization_id) as connection:
            names[organization_id] = require_organization(connection, organization_id)
    return names
