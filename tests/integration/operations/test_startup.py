"""What the pipeline refuses to start with: an all-powerful login, another schema, a wrong clock."""

from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import dagster as dg
import pytest
from psycopg import sql
from sqlalchemy import text

from thirdsentry_pipeline.aws.clock import time_of_sts
from thirdsentry_pipeline.aws.sessions import PlatformAws
from thirdsentry_pipeline.domain.errors import ConfigurationError
from thirdsentry_pipeline.domain.time import utc_now
from thirdsentry_pipeline.operations import services
from thirdsentry_pipeline.operations.database import require_safe_logins
from thirdsentry_pipeline.operations.services import open_services
from thirdsentry_pipeline.operations.startup import StsTime, require_true_time
from thirdsentry_pipeline.resources import warehouse as warehouse_resource
from thirdsentry_pipeline.resources.warehouse import WarehouseResource
from thirdsentry_pipeline.settings import with_login
from thirdsentry_pipeline.settings_files import Login
from thirdsentry_pipeline.warehouse.migrate import head_revision, upgrade
from thirdsentry_pipeline.warehouse.readiness import known_revisions

pytestmark = pytest.mark.integration

DAYS = (timedelta(days=-3), timedelta(minutes=-6), timedelta(minutes=6), timedelta(days=3))


@pytest.fixture
def installed(lab, tmp_path, monkeypatch):
    """Settings of an external Postgres, also in the environment."""
    settings = lab.database.settings(tmp_path / "home")
    monkeypatch.setenv("THIRDSENTRY_HOME", str(settings.home))
    monkeypatch.setenv("THIRDSENTRY_DATABASE_URL", settings.database_url)
    for role, url in settings.login_urls.items():
        monkeypatch.setenv(f"THIRDSENTRY_{role.upper()}_DATABASE_URL", url)
    return replace(
        settings, aws_endpoint_url=lab.services.platform._endpoint_url, aws_region="us-east-1"
    )


@contextmanager
def opened(kind, settings, monkeypatch):
    """The warehouse as a command opens it, or as a Dagster run, schedule or sensor does."""
    if kind == "command":
        with open_services(settings, clock=services.utc_now):
            yield
        return
    monkeypatch.setenv("THIRDSENTRY_DATABASE_URL", settings.database_url)
    for role, url in settings.login_urls.items():
        monkeypatch.setenv(f"THIRDSENTRY_{role.upper()}_DATABASE_URL", url)
    try:
        with dg.build_resources({"warehouse": WarehouseResource()}) as resources:
            assert resources.warehouse.pipeline
            yield
    except dg.DagsterError as error:
        # Dagster puts its own words around what a resource raises.
        raise (error.__cause__ or error) from error


both = pytest.mark.parametrize("kind", ["command", "resource"])


@both
def test_what_is_right_opens(kind, installed, monkeypatch):
    with opened(kind, installed, monkeypatch):
        pass
    require_safe_logins(installed)


@pytest.fixture
def bypassing(lab):
    """A login that is no superuser and that row security does not bind."""
    name = sql.Identifier("faults_bypassing")
    server = lab.database.server
    server.execute(
        sql.SQL("drop role if exists {}").format(name),
        sql.SQL("create role {} login bypassrls in role ts_pipeline password 'x1'").format(name),
    )
    yield with_login(lab.database.admin_url, Login("faults_bypassing", "x1"), lab.database.name)
    server.execute(sql.SQL("drop role {}").format(name))


@both
def test_a_login_that_row_security_does_not_bind_is_refused(
    kind, lab, installed, bypassing, monkeypatch
):
    for url, role in ((lab.database.admin_url, "postgres"), (bypassing, "faults_bypassing")):
        for settings, variable in (
            (replace(installed, database_url=url), "THIRDSENTRY_DATABASE_URL"),
            (
                replace(installed, login_urls={**installed.login_urls, "scheduler": url}),
                "THIRDSENTRY_SCHEDULER_DATABASE_URL",
            ),
        ):
            with (
                pytest.raises(ConfigurationError, match=rf"{variable} can act as {role}"),
                opened(kind, settings, monkeypatch),
            ):
                pass


def test_logins_of_child_processes_are_looked_at_before_serving(lab, installed):
    for role in ("transform", "dagster"):
        urls = {**installed.login_urls, role: lab.database.admin_url}
        with pytest.raises(ConfigurationError, match=f"THIRDSENTRY_{role.upper()}_DATABASE_URL"):
            require_safe_logins(replace(installed, login_urls=urls))


@both
def test_another_releases_schema_is_refused(kind, lab, installed, monkeypatch):
    ours = known_revisions()[-1]
    for revision, advice in (
        ("0002", "run `thirdsentry db migrate`"),
        ("9000", "install the newer release"),
    ):
        set_revision(lab, revision)
        with (
            pytest.raises(ConfigurationError, match=f"{revision}.*{ours}.*{advice}"),
            opened(kind, installed, monkeypatch),
        ):
            pass
    with pytest.raises(ConfigurationError, match="install the newer release"):
        upgrade(lab.database.admin_url)
    with lab.database.engine("admin").begin() as connection:
        connection.execute(text("drop table warehouse.schema_revision"))
    with (
        pytest.raises(ConfigurationError, match=r"has no schema.*run `thirdsentry db migrate`"),
        opened(kind, installed, monkeypatch),
    ):
        pass


def set_revision(lab, revision):
    with lab.database.engine("admin").begin() as connection:
        connection.execute(
            text("update warehouse.schema_revision set version_num = :r"), {"r": revision}
        )


def test_the_revisions_are_those_of_the_migrations():
    assert known_revisions()[-1] == head_revision()


@both
def test_a_clock_off_that_of_sts_is_refused(kind, installed, monkeypatch):
    for off in DAYS:
        for module in (services, warehouse_resource):
            monkeypatch.setattr(module, "utc_now", lambda off=off: utc_now() + off)
        with (
            pytest.raises(ConfigurationError, match=r"This clock is .* off that of STS"),
            opened(kind, installed, monkeypatch),
        ):
            pass
    with open_services(installed, at_any_time=True):
        """What a wrong clock must not hold up opens."""


@contextmanager
def sts_at(off):
    """An STS whose clock is that far from ours, and which refuses everybody."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.send_response_only(403)
            self.send_header("Date", format_datetime(datetime.now(UTC) + off, usegmt=True))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments):
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield PlatformAws(endpoint_url=f"http://127.0.0.1:{server.server_port}", region="us-east-1")
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("off", DAYS)
def test_a_refusal_of_sts_tells_its_time_too(off):
    with sts_at(off) as platform:
        assert abs(time_of_sts(platform) - utc_now() - off) < timedelta(minutes=1)
        with pytest.raises(ConfigurationError, match="This clock is"):
            require_true_time(utc_now(), lambda: platform, sts=StsTime())


@pytest.mark.parametrize("off", DAYS)
def test_a_postgres_whose_clock_is_off_is_refused(off):
    with sts_at(timedelta(0)) as platform, pytest.raises(ConfigurationError, match="of Postgres"):
        require_true_time(utc_now() + off, lambda: platform, sts=StsTime())
    nowhere = PlatformAws(endpoint_url="http://127.0.0.1:9", region="us-east-1")
    with pytest.raises(ConfigurationError, match="apart"):
        require_true_time(utc_now() + off, lambda: nowhere, sts=StsTime())
    require_true_time(utc_now(), lambda: nowhere, sts=StsTime())


def test_sts_is_asked_once_and_again_only_before_a_refusal(lab):
    lab.admin.clear_calls()
    moved = timedelta(0)
    sts = StsTime()

    def look():
        require_true_time(
            utc_now(), lambda: lab.services.platform, clock=lambda: utc_now() + moved, sts=sts
        )

    look()
    look()
    assert len(lab.admin.calls()) == 1
    moved = timedelta(hours=1)
    with pytest.raises(ConfigurationError, match=r"360\d s off"):
        look()
    assert len(lab.admin.calls()) == 2


def test_a_clock_that_slept_is_asked_about_and_not_refused():
    slept = [0.0]
    sts = StsTime(monotonic=lambda: 1000.0 - slept[0])
    with sts_at(timedelta(0)) as platform:
        require_true_time(utc_now(), lambda: platform, sts=sts)
        slept[0] = 900.0
        require_true_time(utc_now(), lambda: platform, sts=sts)
