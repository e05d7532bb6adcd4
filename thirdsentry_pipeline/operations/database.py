"""Bringing a reachable Postgres to where the product can work: databases, schema, logins."""

from collections.abc import Mapping
from datetime import datetime
from urllib.parse import unquote, urlsplit

from thirdsentry_pipeline.domain.errors import ConfigurationError
from thirdsentry_pipeline.settings import LOGIN_NAMES, Role, Settings, with_database
from thirdsentry_pipeline.settings_files import Login, new_password, read_logins, write_logins
from thirdsentry_pipeline.warehouse.database import engine_for
from thirdsentry_pipeline.warehouse.logins import (
    MEMBERSHIPS,
    close_other_databases,
    ensure_database,
    ensure_logins,
    may_log_in,
)
from thirdsentry_pipeline.warehouse.migrate import upgrade
from thirdsentry_pipeline.warehouse.readiness import require_ready, require_safe_login

WORKING_ROLES: tuple[Role, ...] = ("pipeline", "scheduler", "transform", "dagster")


def prepare_database(settings: Settings) -> None:
    """Make both databases, migrate the warehouse and make the logins; safe to repeat.

    Raises:
        ConfigurationError: a setting is missing, or a login of an external Postgres has a
            password this installation does not know.
    """
    admin_url = with_database(settings.login_url("admin"), settings.warehouse_database)
    wanted = wanted_logins(settings)
    ensure_database(admin_url, settings.warehouse_database)
    upgrade(admin_url)
    existing = ensure_logins(
        admin_url,
        {login.login: login.password for login in wanted.values()},
        memberships={
            login.login: MEMBERSHIPS[LOGIN_NAMES[role]]
            for role, login in wanted.items()
            if LOGIN_NAMES[role] in MEMBERSHIPS
        },
        replace_passwords=settings.is_embedded,
    )
    ensure_database(admin_url, dagster_database(settings), owner=wanted["dagster"].login)
    if settings.is_embedded:
        close_other_databases(admin_url)
    for role, login in wanted.items():
        if login.login in existing and not may_log_in(settings.login_url(role)):
            message = (
                f"The login {login.login} exists with another password: set "
                f"{variable_of(role)}, or copy {settings.logins_file} from where it was made."
            )
            raise ConfigurationError(message)


def require_prepared(settings: Settings) -> datetime:
    """Check that the pipeline's login is a safe one and the schema is this version's.

    Returns Postgres' own time.

    Raises:
        ConfigurationError: it is not; the sentence says what to run or to set.
    """
    return require_ready(engine_for(settings.login_url("pipeline"), pool=False))


def require_safe_logins(settings: Settings) -> None:
    """Check every login that the product works with, also those that only children use.

    Raises:
        ConfigurationError: one of them is not bound by row security.
    """
    for role in WORKING_ROLES:
        require_safe_login(engine_for(settings.login_url(role), pool=False), variable_of(role))


def wanted_logins(settings: Settings) -> Mapping[Role, Login]:
    """The login of each role; new passwords for an external Postgres are stored first."""
    stored = read_logins(settings.logins_file)
    wanted: dict[Role, Login] = {}
    for role in WORKING_ROLES:
        url = settings.login_urls.get(role)
        if role == "pipeline":
            url = settings.database_url
        if url is not None:
            wanted[role] = login_in(url, role)
        else:
            wanted[role] = stored.get(role) or Login(LOGIN_NAMES[role], new_password())
            stored[role] = wanted[role]
    if stored != read_logins(settings.logins_file):
        write_logins(settings.logins_file, stored)
    return wanted


def login_in(url: str, role: Role) -> Login:
    """The login a URL names; it needs its password there."""
    parts = urlsplit(url)
    if not parts.username or not parts.password:
        message = f"{variable_of(role)} must hold the login and its password."
        raise ConfigurationError(message)
    return Login(unquote(parts.username), unquote(parts.password))


def dagster_database(settings: Settings) -> str:
    """The database of Dagster's own storage."""
    url = settings.login_urls.get("dagster")
    return urlsplit(url).path.lstrip("/") if url else settings.database_of("dagster")


def variable_of(role: Role) -> str:
    """The variable that holds a role's URL."""
    prefix = "" if role == "pipeline" else f"{role.upper()}_"
    return f"THIRDSENTRY_{prefix}DATABASE_URL"
