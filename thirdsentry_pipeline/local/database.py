"""The database as commands see it: the embedded server when no URL is set, else the external."""

from collections.abc import Iterator
from contextlib import contextmanager

from thirdsentry_pipeline.domain.errors import ConfigurationError
from thirdsentry_pipeline.local.postgres import EmbeddedPostgres
from thirdsentry_pipeline.operations.database import prepare_database, require_prepared
from thirdsentry_pipeline.settings import Settings


@contextmanager
def running_database(settings: Settings) -> Iterator[Settings]:
    """A server that answers; an embedded one not yet running ends with its last user."""
    if settings.is_embedded:
        with EmbeddedPostgres(settings.home):
            yield settings
    else:
        yield settings


@contextmanager
def database_for_command(settings: Settings) -> Iterator[Settings]:
    """A migrated database: the embedded one is migrated here, an external one is checked.

    Raises:
        ConfigurationError: the external database is not migrated, or its login is unsafe.
    """
    with running_database(settings):
        if settings.is_embedded:
            prepare_database(settings)
        else:
            require_prepared(settings)
        yield settings


def migrate_database(settings: Settings) -> None:
    """Prepare the database, starting the embedded server for that when it is not running."""
    with running_database(settings):
        prepare_database(settings)


def start_database(settings: Settings) -> None:
    """Start the embedded server, prepare it and leave it running.

    Raises:
        ConfigurationError: Postgres is external.
    """
    if not settings.is_embedded:
        message = (
            "`db start` is for the embedded Postgres: unset THIRDSENTRY_DATABASE_URL to use it."
        )
        raise ConfigurationError(message)
    EmbeddedPostgres(settings.home).start()
    prepare_database(settings)
