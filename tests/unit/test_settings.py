"""The environment is read once, checked, and its secrets stay out of every text."""

import json
import os
from pathlib import Path

import pytest

from thirdsentry_pipeline.assets.dbt_runner import dbt_environment
from thirdsentry_pipeline.domain.errors import ConfigurationError
from thirdsentry_pipeline.settings import Settings, with_database
from thirdsentry_pipeline.settings_files import (
    Login,
    read_logins,
    read_server,
    write_json,
    write_logins,
)

EXTERNAL = "postgresql://app:s3cret@db.internal:5433/warehouse?sslmode=require"
ADMIN = "postgresql://root:adm1n@db.internal:5433/warehouse"
SNS_ARN = "arn:aws:sns:eu-central-1:123456789012:alerts"


def read(**variables: str) -> Settings:
    return Settings.from_environment(variables)


def write_running_server(home: Path, pid: int) -> None:
    (home / "postgres").mkdir()
    server = {"host": "127.0.0.1", "port": 5440, "pid": pid, "persistent": True}
    write_json(home / "postgres" / "server.json", server)
    roles = ("admin", "pipeline", "scheduler", "transform", "dagster")
    logins = {role: Login(f"ts {role}", "p@ss/word") for role in roles}
    write_logins(home / "secrets" / "logins.json", logins)


def test_defaults_are_an_embedded_installation_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = read()
    assert settings.home == tmp_path / ".thirdsentry"
    assert settings.is_embedded
    assert settings.organizations_per_run == 1
    assert settings.partition_window_days == 90
    assert settings.dagster_home == settings.home / "dagster"
    assert settings.alert_webhook_url is None


def test_empty_variable_counts_as_unset() -> None:
    assert read(THIRDSENTRY_DATABASE_URL=" ", THIRDSENTRY_ORGANIZATIONS_PER_RUN="") == read()


def test_every_variable_reaches_its_setting(tmp_path: Path) -> None:
    settings = read(
        THIRDSENTRY_HOME=str(tmp_path),
        THIRDSENTRY_DATABASE_URL=EXTERNAL,
        THIRDSENTRY_ADMIN_DATABASE_URL=ADMIN,
        THIRDSENTRY_KMS_KEY_ID="alias/tenants",
        THIRDSENTRY_PRINCIPAL_ARN="arn:aws-us-gov:iam::123456789012:role/platform/collector",
        THIRDSENTRY_ORGANIZATIONS_PER_RUN="25",
        THIRDSENTRY_PARTITION_WINDOW_DAYS="400",
        THIRDSENTRY_ANCHOR_BUCKET="acme-anchors",
        THIRDSENTRY_ALERT_SNS_TOPIC_ARN=SNS_ARN,
        THIRDSENTRY_ALERT_WEBHOOK_URL="https://hooks.example/T0/secret",
        AWS_ENDPOINT_URL="http://sandbox:5000",
        AWS_DEFAULT_REGION="eu-central-1",
    )
    assert settings == Settings(
        home=tmp_path,
        database_url=EXTERNAL,
        admin_database_url=ADMIN,
        kms_key_id="alias/tenants",
        principal_arn="arn:aws-us-gov:iam::123456789012:role/platform/collector",
        organizations_per_run=25,
        partition_window_days=400,
        anchor_bucket="acme-anchors",
        alert_sns_topic_arn=SNS_ARN,
        alert_webhook_url="https://hooks.example/T0/secret",
        aws_endpoint_url="http://sandbox:5000",
        aws_region="eu-central-1",
    )
    for secret in ("s3cret", "adm1n", "hooks.example"):
        assert secret not in repr(settings)


def test_the_process_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THIRDSENTRY_ANCHOR_BUCKET", "from-the-process")
    assert Settings.from_environment().anchor_bucket == "from-the-process"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("THIRDSENTRY_DATABASE_URL", "mysql://app:s3cret@db/warehouse"),
        ("THIRDSENTRY_DATABASE_URL", "postgresql://app:s3cret@db"),
        ("THIRDSENTRY_DATABASE_URL", "postgresql://app:s3cret@db:port/warehouse"),
        ("THIRDSENTRY_DATABASE_URL", "postgresql://:s3cret@db/warehouse"),
        ("THIRDSENTRY_DATABASE_URL", "postgresql://app:s3cret@db/a/b"),
        ("THIRDSENTRY_DATABASE_URL", "postgresql://app:s3cret@[db/warehouse"),
        ("THIRDSENTRY_ADMIN_DATABASE_URL", "s3cret"),
        ("THIRDSENTRY_ORGANIZATIONS_PER_RUN", "0"),
        ("THIRDSENTRY_ORGANIZATIONS_PER_RUN", "1.5"),
        ("THIRDSENTRY_ORGANIZATIONS_PER_RUN", "٣"),
        ("THIRDSENTRY_PARTITION_WINDOW_DAYS", "3661"),
        ("THIRDSENTRY_PRINCIPAL_ARN", "123456789012"),
        ("THIRDSENTRY_PRINCIPAL_ARN", SNS_ARN),
        ("THIRDSENTRY_ALERT_SNS_TOPIC_ARN", "arn:aws:sqs:us-east-1:123456789012:alerts"),
        ("THIRDSENTRY_ALERT_WEBHOOK_URL", "http://hooks.example/s3cret"),
        ("THIRDSENTRY_ALERT_WEBHOOK_URL", "ftp://hooks.example/s3cret"),
        ("THIRDSENTRY_ANCHOR_BUCKET", "Bad_Bucket"),
        ("AWS_ENDPOINT_URL", "localhost:5000"),
        ("THIRDSENTRY_HOME", __file__),
    ],
)
def test_malformed_value_is_refused_by_name_and_without_its_secret(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=name) as refusal:
        Settings.from_environment({name: value})
    assert "s3cret" not in str(refusal.value)


def test_webhook_on_this_machine_may_be_plain_http() -> None:
    url = "http://127.0.0.1:9000/hook"
    assert read(THIRDSENTRY_ALERT_WEBHOOK_URL=url).alert_webhook_url == url


def test_urls_of_single_logins_need_an_external_postgres() -> None:
    with pytest.raises(ConfigurationError, match="THIRDSENTRY_DATABASE_URL"):
        read(THIRDSENTRY_ADMIN_DATABASE_URL=ADMIN)
    with pytest.raises(ConfigurationError, match="THIRDSENTRY_DATABASE_URL"):
        read(THIRDSENTRY_DAGSTER_DATABASE_URL=EXTERNAL)


def test_driver_names_become_plain_urls() -> None:
    for scheme in ("postgres", "postgresql+psycopg", "postgresql+psycopg2"):
        url = EXTERNAL.replace("postgresql", scheme)
        assert read(THIRDSENTRY_DATABASE_URL=url).database_url == EXTERNAL


def test_external_logins_share_server_and_options(tmp_path: Path) -> None:
    settings = read(THIRDSENTRY_HOME=str(tmp_path), THIRDSENTRY_DATABASE_URL=EXTERNAL)
    assert settings.login_url("pipeline") == EXTERNAL
    with pytest.raises(ConfigurationError, match="THIRDSENTRY_ADMIN_DATABASE_URL"):
        settings.login_url("admin")
    with pytest.raises(ConfigurationError, match="db migrate"):
        settings.login_url("scheduler")
    write_logins(
        settings.logins_file,
        {"scheduler": Login("walker", "a:b"), "dagster": Login("dag", "pw")},
    )
    base = "db.internal:5433"
    assert settings.login_url("scheduler") == (
        f"postgresql://walker:a%3Ab@{base}/warehouse?sslmode=require"
    )
    assert settings.login_url("dagster") == f"postgresql://dag:pw@{base}/dagster?sslmode=require"


def test_url_of_a_single_login_wins(tmp_path: Path) -> None:
    own = "postgresql://d:p@elsewhere/dagster_storage"
    settings = read(
        THIRDSENTRY_HOME=str(tmp_path),
        THIRDSENTRY_DATABASE_URL=EXTERNAL,
        THIRDSENTRY_ADMIN_DATABASE_URL=ADMIN,
        THIRDSENTRY_DAGSTER_DATABASE_URL=own,
    )
    assert settings.login_url("dagster") == own
    assert settings.login_url("admin") == ADMIN


def test_embedded_urls_name_the_running_server(tmp_path: Path) -> None:
    write_running_server(tmp_path, os.getpid())
    settings = Settings(home=tmp_path)
    password = "p%40ss%2Fword"
    for role, database in (("pipeline", "thirdsentry"), ("dagster", "dagster")):
        url = f"postgresql://ts%20{role}:{password}@127.0.0.1:5440/{database}"
        assert settings.login_url(role) == url  # type: ignore[arg-type]  # the literal widens


@pytest.mark.parametrize("pid", [0, -1, 2**22 + 1])
def test_embedded_server_that_ended_is_named_as_such(tmp_path: Path, pid: int) -> None:
    write_running_server(tmp_path, pid)
    with pytest.raises(ConfigurationError, match="thirdsentry db start"):
        Settings(home=tmp_path).login_url("pipeline")


def test_embedded_login_missing_from_its_file_is_named(tmp_path: Path) -> None:
    write_running_server(tmp_path, os.getpid())
    write_logins(tmp_path / "secrets" / "logins.json", {})
    with pytest.raises(ConfigurationError, match="transform"):
        Settings(home=tmp_path).login_url("transform")


def test_password_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "secrets" / "logins.json"
    write_logins(path, {"admin": Login("postgres", "s3cret")})
    assert read_logins(path)["admin"].password == "s3cret"
    assert "s3cret" not in repr(read_logins(path))
    path.chmod(0o640)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        read_logins(path)


@pytest.mark.parametrize("content", ["", "[]", "{", '{"admin": 1}', '{"admin": {}}', "\udcff"])
def test_damaged_files_are_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "logins.json"
    path.write_bytes(content.encode("utf-8", errors="surrogateescape"))
    path.chmod(0o600)
    with pytest.raises(ConfigurationError, match=r"logins\.json"):
        read_logins(path)


def test_server_file_without_an_address_means_not_running(tmp_path: Path) -> None:
    path = tmp_path / "server.json"
    assert read_server(path) is None
    write_json(path, {"port": "x", "host": "127.0.0.1", "pid": os.getpid()})
    assert read_server(path) is None


def test_interrupted_write_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    write_json(path, {"value": 1})
    with pytest.raises(TypeError):
        write_json(path, {"value": object()})
    assert json.loads(path.read_text()) == {"value": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_database_of_a_url_can_be_replaced() -> None:
    assert with_database(EXTERNAL, "new one") == EXTERNAL.replace("/warehouse", "/new%20one")


def test_one_url_serves_dagsters_storage_and_the_product():
    written = "postgresql+psycopg2://d:p@db/dagster?sslmode=verify-full"
    settings = Settings.from_environment(
        {"THIRDSENTRY_DATABASE_URL": EXTERNAL, "THIRDSENTRY_DAGSTER_DATABASE_URL": written}
    )
    assert settings.login_url("dagster") == written.replace("+psycopg2", "")


def test_dbt_holds_the_server_to_the_same_proof_as_the_url_asks_for():
    url = "postgresql://t:p@db/thirdsentry?sslmode=verify-full&sslrootcert=/certificates/rds.pem"
    settings = Settings.from_environment(
        {"THIRDSENTRY_DATABASE_URL": EXTERNAL, "THIRDSENTRY_TRANSFORM_DATABASE_URL": url}
    )
    environment = dbt_environment(settings)
    assert environment["THIRDSENTRY_DBT_SSLMODE"] == "verify-full"
    assert environment["PGSSLROOTCERT"] == "/certificates/rds.pem"
