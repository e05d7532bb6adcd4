"""Databases, schema and logins: made once, by anybody, in any order, without leaking passwords."""

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from tests.databases import DatabaseServer
from thirdsentry_pipeline.domain.errors import ConfigurationError
from thirdsentry_pipeline.local.database import (
    database_for_command,
    migrate_database,
    start_database,
)
from thirdsentry_pipeline.local.postgres import EmbeddedPostgres
from thirdsentry_pipeline.operations.database import prepare_database
from thirdsentry_pipeline.settings import Role, Settings, with_database, with_login
from thirdsentry_pipeline.settings_files import Login, read_logins
from thirdsentry_pipeline.warehouse.logins import ensure_database, ensure_logins, may_log_in

pytestmark = pytest.mark.integration

ROLES: tuple[Role, ...] = ("pipeline", "scheduler", "transform", "dagster")


@pytest.fixture(scope="module")
def server_home() -> Iterator[Path]:
    """The home of a server for the tests here."""
    with tempfile.TemporaryDirectory(prefix="thirdsentry-bare-") as directory:
        outer = Path(directory)
        # As root the server runs as another user, who has to pass through.
        outer.chmod(0o711)
        with EmbeddedPostgres(outer / "server", durable=False):
            yield outer / "server"


@pytest.fixture
def server(server_home: Path) -> Iterator[str]:
    """A bare Postgres: the URL of its superuser and of a database that does not exist yet."""
    url = Settings(home=server_home).login_url("admin")
    yield with_database(url, "acme")
    make_bare(with_database(url, "postgres"))


def make_bare(url: str) -> None:
    """Take away every database, login and setting that a test has made."""
    with psycopg.connect(url, autocommit=True) as connection:
        roles = "rolname from pg_roles where oid >= 16384"
        for names, remove in (
            ("datname from pg_database where not datistemplate", "drop database {} with (force)"),
            (roles, "drop owned by {}"),
            (roles, "drop role {}"),
        ):
            found = connection.execute(f"select {names}").fetchall()  # type: ignore[arg-type]  # a constant
            for (name,) in found:
                if name != "postgres":
                    connection.execute(sql.SQL(remove).format(sql.Identifier(name)))
        connection.execute("alter role current_user reset all")


@pytest.fixture
def external(home: Path, server: str) -> Settings:
    """An installation that uses the bare Postgres as an external one."""
    return Settings(
        home=home / "installation",
        database_url=with_login(server, Login("acme_app", "app-s3cret"), "acme"),
        admin_database_url=server,
    )


def ask(url: str, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(query).fetchall()  # type: ignore[no-any-return, arg-type]  # a test's own query


def test_external_database_is_made_with_its_logins(external: Settings) -> None:
    migrate_database(external)
    held = ask(
        external.login_url("admin"),
        "select m.rolname, g.rolname from pg_auth_members a join pg_roles m on m.oid = a.member"
        " join pg_roles g on g.oid = a.roleid"
        " where m.rolname ~ '^(acme|thirdsentry)_' order by 1",
    )
    assert held == [
        ("acme_app", "ts_pipeline"),
        ("thirdsentry_scheduler", "ts_scheduler"),
        ("thirdsentry_transform", "ts_transform"),
    ]
    for role in ROLES:
        database = ask(external.login_url(role), "select current_database()")
        assert database == [("dagster" if role == "dagster" else "acme",)]
    with database_for_command(external) as settings:
        assert settings is external


def test_administrator_of_a_managed_postgres_need_not_be_superuser(
    external: Settings, server: str
) -> None:
    administrator = Login("managed_admin", "adm1n")
    with psycopg.connect(with_database(server, "postgres")) as connection:
        connection.execute("create role managed_admin login createdb createrole password 'adm1n'")
    managed = replace(external, admin_database_url=with_login(server, administrator, "acme"))
    migrate_database(managed)
    migrate_database(managed)
    with database_for_command(managed):
        assert all(may_log_in(managed.login_url(role)) for role in ROLES)


def test_the_urls_of_the_shipped_deployment_are_all_that_it_takes(home: Path, server: str) -> None:
    example = Path(__file__).parents[3] / "deploy" / "compose" / ".env.example"
    address = server.rpartition("@")[2].rpartition("/")[0]
    environment = {"THIRDSENTRY_HOME": str(home / "installation")}
    for line in example.read_text().splitlines():
        if "_DATABASE_URL=" in line:
            name, _, url = line.partition("=")
            environment[name] = url.replace("postgres:5432", address).replace("CHANGE-ME", name)
    environment["THIRDSENTRY_ADMIN_DATABASE_URL"] = with_database(server, "thirdsentry")
    settings = Settings.from_environment(environment)
    migrate_database(settings)
    assert all(may_log_in(settings.login_url(role)) for role in ROLES)
    # Every password is the operator's: none is made here and left in a file.
    assert not settings.logins_file.exists()
    without_administrator = replace(settings, admin_database_url=None)
    with database_for_command(without_administrator):
        pass


def test_preparing_again_keeps_the_passwords(external: Settings) -> None:
    migrate_database(external)
    before = [external.login_url(role) for role in ROLES]
    migrate_database(external)
    assert [external.login_url(role) for role in ROLES] == before
    assert all(may_log_in(url) for url in before)


def test_login_made_by_another_installation_is_not_taken_from_it(external: Settings) -> None:
    migrate_database(external)
    second = replace(external, home=external.home.with_name("second"))
    with pytest.raises(ConfigurationError, match="THIRDSENTRY_SCHEDULER_DATABASE_URL"):
        migrate_database(second)
    assert may_log_in(external.login_url("scheduler"))
    shared = replace(
        second, login_urls={role: external.login_url(role) for role in ROLES if role != "pipeline"}
    )
    migrate_database(shared)


def test_external_database_that_is_not_migrated_is_refused(external: Settings, server: str) -> None:
    ensure_database(server, "acme")
    ensure_logins(server, {"acme_app": "app-s3cret"}, memberships={})
    with pytest.raises(ConfigurationError, match="db migrate"), database_for_command(external):
        pass


def test_all_powerful_login_is_refused(external: Settings) -> None:
    migrate_database(external)
    superuser = replace(external, database_url=external.login_url("admin"))
    with pytest.raises(ConfigurationError, match="row security"), database_for_command(superuser):
        pass
    with psycopg.connect(external.login_url("admin")) as connection:
        connection.execute("grant ts_owner to acme_app")
    with pytest.raises(ConfigurationError, match="ts_owner"), database_for_command(external):
        pass


def test_url_without_a_password_is_refused(external: Settings) -> None:
    lacking = replace(external, database_url="postgresql://acme_app@127.0.0.1/acme")
    with pytest.raises(ConfigurationError, match="THIRDSENTRY_DATABASE_URL"):
        prepare_database(lacking)


def test_embedded_server_is_prepared_for_one_command(home: Path) -> None:
    settings = Settings(home=home)
    with database_for_command(settings):
        assert ask(settings.login_url("transform"), "select 1") == [(1,)]
    assert not EmbeddedPostgres(home).is_running()


def test_embedded_server_stays_after_db_start(home: Path) -> None:
    settings = Settings(home=home)
    start_database(settings)
    with database_for_command(settings):
        pass
    assert EmbeddedPostgres(home).is_running()
    assert may_log_in(settings.login_url("dagster"))


def test_start_is_for_the_embedded_server(external: Settings) -> None:
    with pytest.raises(ConfigurationError, match="THIRDSENTRY_DATABASE_URL"):
        start_database(external)


def test_passwords_reach_the_server_as_verifiers(server_home: Path, server: str) -> None:
    admin = with_database(server, "postgres")
    with psycopg.connect(admin) as connection:
        connection.execute("alter role current_user set log_statement = 'all'")
    ensure_logins(admin, {"marked_login": "canary-password"}, memberships={})
    # The control: with the statement log on, a password sent as such would be there.
    with psycopg.connect(admin) as connection:
        connection.execute("alter role marked_login password 'control-password'")
    log = (server_home / "postgres" / "server.log").read_text()
    assert "control-password" in log
    assert "canary-password" not in log
    assert "SCRAM-SHA-256$1:" in log


def test_logins_see_their_own_database_alone(postgres_server: DatabaseServer) -> None:
    for role in ("pipeline", "scheduler", "transform"):
        assert not may_log_in(postgres_server.url(role, "dagster"))
    assert not may_log_in(postgres_server.url("dagster", "thirdsentry"))
    powerful = ask(
        postgres_server.url("admin", "postgres"),
        "select rolname from pg_roles where rolname like 'thirdsentry%'"
        " and (rolsuper or rolcreatedb or rolcreaterole or rolreplication or rolbypassrls)",
    )
    assert powerful == []


def test_hostile_names_stay_names(postgres_server: DatabaseServer) -> None:
    admin = postgres_server.url("admin", "postgres")
    name = 'x"; drop role thirdsentry_pipeline; --'
    ensure_logins(admin, {name: "it's"}, memberships={})
    ensure_database(admin, name, owner=name)
    try:
        url = with_login(admin, Login(name, "it's"), name)
        assert ask(url, "select current_database()") == [(name,)]
    finally:
        postgres_server.execute(
            sql.SQL("drop database {}").format(sql.Identifier(name)),
            sql.SQL("drop role {}").format(sql.Identifier(name)),
        )


def test_new_passwords_differ_between_installations(tmp_path: Path, external: Settings) -> None:
    migrate_database(external)
    passwords = [login.password for login in read_logins(external.logins_file).values()]
    assert len(set(passwords)) == len(passwords) == 3
    assert all(len(password) >= 40 for password in passwords)
