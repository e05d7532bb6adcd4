"""``thirdsentry db``: the warehouse's Postgres."""

from typing import Annotated, get_args

import typer

from thirdsentry_pipeline.cli.options import AsJson
from thirdsentry_pipeline.cli.output import print_json, print_line, progress_lines
from thirdsentry_pipeline.cli.views import build_views
from thirdsentry_pipeline.domain.errors import ConfigurationError, InputError
from thirdsentry_pipeline.local.database import running_database, start_database
from thirdsentry_pipeline.local.postgres import EmbeddedPostgres
from thirdsentry_pipeline.operations.database import prepare_database
from thirdsentry_pipeline.settings import Role, Settings
from thirdsentry_pipeline.warehouse.readiness import known_revisions

ROLES: tuple[Role, ...] = tuple(role for role in get_args(Role) if role != "dagster")

app = typer.Typer(
    help="Migrate, start, stop or address the warehouse's Postgres.", no_args_is_help=True
)


@app.command()
def migrate(as_json: AsJson = False) -> None:
    """Bring databases, schema, logins and coverage views to this version; safe to repeat."""
    report = progress_lines()
    with running_database(Settings.from_environment()) as settings:
        report("Migrating the warehouse")
        prepare_database(settings)
        report("Building the coverage views")
        build_views(settings)
    tell({"revision": known_revisions()[-1]}, "The warehouse is at this version.", as_json=as_json)


@app.command()
def start(as_json: AsJson = False) -> None:
    """Start the embedded Postgres and leave it running until `db stop`."""
    settings = require_embedded("start")
    start_database(settings)
    tell(
        {"running": True, "home": str(settings.home)},
        f"Postgres is running for {settings.home}; `thirdsentry db url` addresses it.",
        as_json=as_json,
    )


@app.command()
def stop(as_json: AsJson = False) -> None:
    """Stop the embedded Postgres; nothing happens when it is not running."""
    settings = require_embedded("stop")
    EmbeddedPostgres(settings.home).stop()
    tell({"running": False}, "Postgres is stopped.", as_json=as_json)


@app.command()
def url(
    role: Annotated[
        str, typer.Option(metavar="|".join(ROLES), help="Whose login to address it with.")
    ] = "pipeline",
    as_json: AsJson = False,
) -> None:
    """Print one line: postgresql://login:password@host:port/database."""
    settings = Settings.from_environment()
    address = settings.login_url(parse_role(role))
    tell({"role": role, "url": address}, address, as_json=as_json)


def parse_role(text: str) -> Role:
    """The role; raises InputError for any other text."""
    for role in ROLES:
        if text == role:
            return role
    message = f"{text!r} is no role: use one of {', '.join(ROLES)}."
    raise InputError(message)


def require_embedded(action: str) -> Settings:
    """The settings; raises ConfigurationError when Postgres is somebody else's to start."""
    settings = Settings.from_environment()
    if not settings.is_embedded:
        message = (
            f"`db {action}` is for the embedded Postgres: THIRDSENTRY_DATABASE_URL is set, "
            "so unset it or ask that server's owner."
        )
        raise ConfigurationError(message)
    return settings


def tell(document: dict[str, object], sentence: str, *, as_json: bool) -> None:
    """Print the document or the sentence."""
    if as_json:
        print_json(document)
    else:
        print_line(sentence)
