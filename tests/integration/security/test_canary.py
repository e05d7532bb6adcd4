"""Secrets with a mark on them go through the product; nothing that is left behind holds one.

Real commands and real Dagster runs in subprocesses, on an installation of their own, with every
library as talkative as Python's logging can make it.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import psycopg
import pytest

from tests.integration.security.traces import STORES, Traces, forms_of
from thirdsentry_pipeline.aws.kms import TenantKeys
from thirdsentry_pipeline.aws.sessions import PlatformAws
from thirdsentry_pipeline.domain.policy import ROLE_NAME, permission_policy, trust_policy
from thirdsentry_pipeline.local.postgres import EmbeddedPostgres
from thirdsentry_pipeline.local.sandbox_process import SandboxProcess
from thirdsentry_pipeline.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from thirdsentry_pipeline.local.sandbox_client import SandboxAdmin

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

BIN = Path(sys.executable).parent
ORGANIZATION = "65f0a1b2c3d4e5f6a7b8c9d0"
ACCOUNT = "111111111111"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/{ROLE_NAME}"
PLANTED = f"planted-{uuid4().hex}"
LOUD = """
import logging, sys
logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
for name in ("", "boto3", "botocore", "botocore.auth", "botocore.endpoint", "botocore.hooks",
    "botocore.parsers", "botocore.httpsession", "botocore.httpchecksum", "botocore.regions",
    "botocore.retries.standard", "botocore.retryhandler", "urllib3", "urllib3.connectionpool",
    "sqlalchemy", "sqlalchemy.engine", "sqlalchemy.pool", "psycopg", "dagster", "alembic"):
    logging.getLogger(name).setLevel(logging.DEBUG)
"""
ASSUME = """
import boto3, sys
boto3.client("sts").assume_role(
    RoleArn=sys.argv[1], RoleSessionName="control", ExternalId=sys.stdin.readline().strip()
)
"""


@dataclass
class Operator:
    """A person with a shell: runs commands, keeps what they print."""

    home: Path
    environment: dict[str, str]
    traces: Traces = field(default_factory=Traces)

    def run(self, *command: str, stdin: str = "", keep_output: bool = True) -> tuple[int, str]:
        finished = subprocess.run(
            [str(BIN / command[0]), *command[1:]],
            env=self.environment,
            cwd=self.home.parent,
            input=stdin.encode(),
            capture_output=True,
            check=False,
        )
        if keep_output:
            self.traces.found["standard output"].append(finished.stdout)
        self.traces.found["standard error"].append(finished.stderr)
        return finished.returncode, finished.stdout.decode()

    def thirdsentry(self, *arguments: str, stdin: str = "", keep_output: bool = True) -> str:
        code, out = self.run("thirdsentry", *arguments, stdin=stdin, keep_output=keep_output)
        error = self.traces.found["standard error"][-1].decode()
        assert code == 0, error[-2000:]
        return out


@dataclass
class Journey:
    """All traces of a connection's life, and each secret that was in it."""

    traces: Traces
    secrets: dict[str, bytes]
    environment: dict[str, str]
    external_id: str


@pytest.fixture(scope="module")
def journey() -> Iterator[Journey]:
    with (
        tempfile.TemporaryDirectory(prefix="thirdsentry-canary-") as directory,
        tempfile.TemporaryDirectory(prefix="thirdsentry-aws-") as aws,
        SandboxProcess(Path(aws)) as sandbox,
    ):
        base = Path(directory)
        base.chmod(0o711)  # as root the server runs as another user, who has to pass through
        for name in ("loud", "tmp"):
            (base / name).mkdir()
            (base / name).chmod(0o777)
        (base / "loud" / "sitecustomize.py").write_text(LOUD)
        platform_secret = f"platform-{uuid4().hex}"
        environment = {
            "PATH": f"{BIN}:/usr/bin:/bin",
            "HOME": str(base),
            "TMPDIR": str(base / "tmp"),
            "PYTHONPATH": str(base / "loud"),
            "THIRDSENTRY_HOME": str(base / "home"),
            "DAGSTER_HOME": str(base / "home" / "dagster"),
            **sandbox.environment,
            "AWS_SECRET_ACCESS_KEY": platform_secret,
        }
        operator = Operator(base / "home", environment)
        secrets = {"platform's own secret key": platform_secret.encode()}
        operator.thirdsentry("db", "start")
        try:
            yield travel(operator, sandbox.admin, secrets)
        finally:
            EmbeddedPostgres(operator.home).stop()


def travel(operator: Operator, admin: SandboxAdmin, secrets: dict[str, bytes]) -> Journey:
    """Connect, rotate, sync, sync in vain, reauth, revoke; then look everywhere."""
    url = operator.thirdsentry("db", "url", "--role", "admin", keep_output=False).strip()
    in_organization = ("--organization", ORGANIZATION)
    operator.thirdsentry("organization", "add", "--id", ORGANIZATION, "--name", "Acme")
    first, second = (f"canary-{uuid4().hex}" for _ in range(2))
    secrets |= {"first external id": first.encode(), "second external id": second.encode()}
    trust(admin, operator, first)
    connected = operator.thirdsentry(
        "connect", *in_organization, "--role-arn", ROLE, "--external-id-stdin", "--json",
        stdin=f"{first}\n",
    )  # fmt: skip
    connection = ("--connection", json.loads(connected)["connection_id"])
    secrets["first data key"] = data_key(url, operator.environment, 1)
    operator.thirdsentry("keys", "rotate", *in_organization)
    secrets["second data key"] = data_key(url, operator.environment, 2)
    granted = operator.thirdsentry(
        "bi", "grant", *in_organization, "--login", "bi_canary", "--json", keep_output=False
    )
    secrets["reader's password"] = json.loads(granted)["password"].encode()
    operator.thirdsentry("sync", *in_organization)
    admin.inject_fault(action="sts:AssumeRole", error_code="RegionDisabledException")
    partition = f"{datetime.now(UTC).date()}|{ORGANIZATION}"
    code, _ = operator.run(
        "dagster", "asset", "materialize", "-m", "thirdsentry_pipeline.definitions",
        "--select", "key:aws/iam_password_policy", "--partition", partition,
    )  # fmt: skip
    assert code != 0
    admin.clear_faults()
    trust(admin, operator, second)
    operator.thirdsentry(
        "reauth", *in_organization, *connection, "--external-id-stdin", stdin=f"{second}\n"
    )
    operator.thirdsentry("revoke", *in_organization, *connection)
    for number, session in enumerate(admin.sessions(secrets=True)):
        secrets[f"secret key of session {number}"] = session["secret"].encode()
        secrets[f"token of session {number}"] = session["token"].encode()
    data_directory = plant(operator, url)
    operator.traces.add_databases(url)
    operator.thirdsentry("db", "stop")
    operator.traces.add_files(operator.home, data_directory, operator.home.parent / "tmp")
    return Journey(operator.traces, secrets, operator.environment, second)


def trust(admin: SandboxAdmin, operator: Operator, external_id: str) -> None:
    """Be the customer, whose role trusts us with that external id."""
    admin.set_regions(ACCOUNT, ["us-east-1"])
    trusted = trust_policy(operator.environment["THIRDSENTRY_PRINCIPAL_ARN"], external_id)
    admin.create_role(ACCOUNT, ROLE_NAME, trusted, permission_policy())


def data_key(admin_url: str, environment: dict[str, str], version: int) -> bytes:
    """A version of the organization's data key in the clear, as KMS unwraps it."""
    with psycopg.connect(admin_url) as connection:
        (wrapped,) = connection.execute(
            "select wrapped_key from warehouse.organization_data_keys where key_version = %s",
            (version,),
        ).fetchone() or (b"",)
    with pytest.MonkeyPatch.context() as patch:
        for name in sorted(environment):
            if name.startswith("AWS_"):
                patch.setenv(name, environment[name])
        settings = Settings.from_environment(environment)
        platform = PlatformAws(endpoint_url=settings.aws_endpoint_url, region="us-east-1")
        keys = TenantKeys(platform.client("kms"), environment["THIRDSENTRY_KMS_KEY_ID"])
        return keys.unwrap(ORGANIZATION, version, wrapped)


def plant(operator: Operator, admin_url: str) -> Path:
    """Leave a value in every store; returns the server's data directory."""
    for database in ("thirdsentry", "dagster"):
        url = admin_url.replace("/thirdsentry", f"/{database}")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("create table public.planted (value text)")
            connection.execute("insert into public.planted values (%s)", (PLANTED,))
            (found,) = connection.execute("show data_directory").fetchone() or ("",)
    logs = operator.home / "dagster" / "compute_logs"
    assert any(logs.rglob("*")), "the runs kept their output"
    for directory in (operator.home, logs.parent, logs, operator.home.parent / "tmp"):
        (directory / "planted").write_text(PLANTED)
    planted = ("organization", "add", "--id", "f" * 24, "--name", PLANTED)
    operator.thirdsentry(*planted)
    operator.run("thirdsentry", PLANTED)
    return Path(found)


def test_nothing_left_behind_holds_a_secret(journey: Journey) -> None:
    leaks = {name: journey.traces.hold(secret) for name, secret in journey.secrets.items()}
    assert {name: stores for name, stores in leaks.items() if stores} == {}
    # Two probes and a dry read on connecting, one sync, the same again on reauth.
    assert len(journey.secrets) > 10


@pytest.mark.parametrize("store", STORES)
def test_the_search_finds_what_was_planted(journey: Journey, store: str) -> None:
    assert store in journey.traces.hold(PLANTED.encode())


def test_the_search_finds_a_secret_in_other_forms() -> None:
    secret = b"canary/with+odd=characters and more"
    forms = forms_of(secret)
    for told in (
        b"x" + secret,
        secret.hex().encode(),
        b"id=canary%2Fwith%2Bodd%3Dcharacters+and+more&",
        *(base64.b64encode(b"p" * n + secret + b"tail") for n in range(3)),
    ):
        assert any(form in told for form in forms), told


def test_the_libraries_were_talkative_and_would_have_told(journey: Journey) -> None:
    """The same environment, without the product's hold on the loggers: the external id is there."""
    errors = b"".join(journey.traces.found["standard error"])
    assert b"DEBUG:" in errors
    told = subprocess.run(
        [sys.executable, "-c", ASSUME, ROLE],
        env=journey.environment,
        input=f"{journey.external_id}\n".encode(),
        capture_output=True,
        check=False,
    ).stderr
    assert any(form in told for form in forms_of(journey.external_id.encode()))
