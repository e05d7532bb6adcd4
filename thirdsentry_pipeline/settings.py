"""What the environment says, read in this one place and checked before anything starts."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import quote, urlsplit

from thirdsentry_pipeline.domain.errors import ConfigurationError
from thirdsentry_pipeline.settings_files import Login, read_logins, read_server
from thirdsentry_pipeline.settings_values import Environment

Role = Literal["admin", "pipeline", "scheduler", "transform", "dagster"]

WAREHOUSE_DATABASE = "thirdsentry"
DAGSTER_DATABASE = "dagster"
# The pipeline's own login comes from THIRDSENTRY_DATABASE_URL when Postgres is external.
LOGIN_NAMES: Mapping[Role, str] = {
    "admin": "postgres",
    "pipeline": "thirdsentry_pipeline",
    "scheduler": "thirdsentry_scheduler",
    "transform": "thirdsentry_transform",
    "dagster": "thirdsentry_dagster",
}


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything configurable. URLs and webhooks may hold a secret and stay out of the repr.

    ``home`` is absolute. ``database_url`` None means the embedded Postgres below ``home``.
    """

    home: Path
    database_url: str | None = field(default=None, repr=False)
    admin_database_url: str | None = field(default=None, repr=False)
    login_urls: Mapping[Role, str] = field(default_factory=dict, repr=False)
    kms_key_id: str | None = None
    principal_arn: str | None = None
    organizations_per_run: int = 1
    partition_window_days: int = 90
    run_history_days: int = 90
    anchor_bucket: str | None = None
    alert_sns_topic_arn: str | None = None
    alert_webhook_url: str | None = field(default=None, repr=False)
    aws_endpoint_url: str | None = field(default=None, repr=False)
    aws_region: str | None = None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> "Settings":
        """Read and check the variables; an empty one counts as unset.

        Raises:
            ConfigurationError: a value is malformed; the sentence names its variable.
        """
        read = Environment(os.environ if environ is None else environ)
        logins: dict[Role, str] = {}
        for role in ("scheduler", "transform", "dagster"):
            url = read.database_url(f"THIRDSENTRY_{role.upper()}_DATABASE_URL")
            if url is not None:
                logins[role] = url
        settings = cls(
            home=read.directory("THIRDSENTRY_HOME", ".thirdsentry"),
            database_url=read.database_url("THIRDSENTRY_DATABASE_URL"),
            admin_database_url=read.database_url("THIRDSENTRY_ADMIN_DATABASE_URL"),
            login_urls=logins,
            kms_key_id=read.text("THIRDSENTRY_KMS_KEY_ID"),
            principal_arn=read.arn("THIRDSENTRY_PRINCIPAL_ARN", "iam", "sts"),
            organizations_per_run=read.whole_number(
                "THIRDSENTRY_ORGANIZATIONS_PER_RUN", default=1, least=1, most=10_000
            ),
            partition_window_days=read.whole_number(
                "THIRDSENTRY_PARTITION_WINDOW_DAYS", default=90, least=1, most=3_660
            ),
            run_history_days=read.whole_number(
                "THIRDSENTRY_RUN_HISTORY_DAYS", default=90, least=1, most=3_660
            ),
            anchor_bucket=read.bucket("THIRDSENTRY_ANCHOR_BUCKET"),
            alert_sns_topic_arn=read.arn("THIRDSENTRY_ALERT_SNS_TOPIC_ARN", "sns"),
            alert_webhook_url=read.web_url("THIRDSENTRY_ALERT_WEBHOOK_URL", plain="loopback"),
            aws_endpoint_url=read.web_url("AWS_ENDPOINT_URL", plain="anywhere"),
            aws_region=read.text("AWS_REGION") or read.text("AWS_DEFAULT_REGION"),
        )
        if settings.database_url is None and (settings.admin_database_url or logins):
            message = (
                "THIRDSENTRY_ADMIN_DATABASE_URL and the THIRDSENTRY_…_DATABASE_URL of single "
                "logins are for an external Postgres: set THIRDSENTRY_DATABASE_URL too, or "
                "unset them to use the embedded one."
            )
            raise ConfigurationError(message)
        return settings

    @property
    def is_embedded(self) -> bool:
        """Whether Postgres is the embedded server below ``home``."""
        return self.database_url is None

    @property
    def dagster_home(self) -> Path:
        """The ``DAGSTER_HOME`` of this installation."""
        return self.home / "dagster"

    @property
    def logins_file(self) -> Path:
        """Passwords of the logins this installation made (mode 0600)."""
        return self.home / "secrets" / "logins.json"

    @property
    def warehouse_database(self) -> str:
        """The name of the database that holds the warehouse."""
        if self.database_url is None:
            return WAREHOUSE_DATABASE
        return urlsplit(self.database_url).path.lstrip("/")

    def login_url(self, role: Role) -> str:
        """A plain ``postgresql://login:password@host:port/database`` for one login.

        The dagster login's database is ``dagster``, every other's is the warehouse.

        Raises:
            ConfigurationError: the embedded server is not running, or the login was not made.
        """
        if role in self.login_urls:
            return self.login_urls[role]
        if self.database_url is None:
            return self._embedded_url(role)
        if role == "pipeline":
            return self.database_url
        if role == "admin":
            if self.admin_database_url is None:
                message = "Set THIRDSENTRY_ADMIN_DATABASE_URL: this needs an administrator."
                raise ConfigurationError(message)
            return self.admin_database_url
        login = read_logins(self.logins_file).get(role)
        if login is None:
            message = (
                f"The {role} login has no password in {self.logins_file}: run "
                f"`thirdsentry db migrate`, or set THIRDSENTRY_{role.upper()}_DATABASE_URL."
            )
            raise ConfigurationError(message)
        return with_login(self.database_url, login, self.database_of(role))

    def database_of(self, role: Role) -> str:
        """The database a login works in."""
        return DAGSTER_DATABASE if role == "dagster" else self.warehouse_database

    def _embedded_url(self, role: Role) -> str:
        server = read_server(self.home / "postgres" / "server.json")
        if server is None:
            message = (
                f"The embedded Postgres of {self.home} is not running: "
                "start it with `thirdsentry db start`."
            )
            raise ConfigurationError(message)
        login = read_logins(self.logins_file).get(role)
        if login is None:
            message = f"The {role} login is missing from {self.logins_file}: restore that file."
            raise ConfigurationError(message)
        address = f"postgresql://{server.host}:{server.port}/"
        return with_login(address, login, self.database_of(role))


def with_login(url: str, login: Login, database: str) -> str:
    """The same server and options, with another login and database."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    credentials = f"{quote(login.login, safe='')}:{quote(login.password, safe='')}"
    return parts._replace(netloc=f"{credentials}@{host}", path=f"/{quote(database)}").geturl()


def with_database(url: str, database: str) -> str:
    """The same server, login and options, with another database."""
    return urlsplit(url)._replace(path=f"/{quote(database)}").geturl()
