"""Any exception becomes one sentence that names what to change and repeats no secret."""

import botocore.exceptions as aws
import psycopg
import pytest
from sqlalchemy import exc

from thirdsentry_pipeline.cli.errors import describe
from thirdsentry_pipeline.cli.main import run
from thirdsentry_pipeline.domain.errors import ConfigurationError, InputError, ThirdSentryError

SECRET = "do-not-repeat-me"


def undefined_table():
    error = psycopg.errors.UndefinedTable(f'relation "{SECRET}" does not exist')
    return exc.ProgrammingError(f"select {SECRET}", {}, error)


@pytest.mark.parametrize(
    ("error", "code", "named"),
    [
        (InputError("Too\nmany   lines"), 2, "Too many lines."),
        (ConfigurationError("Set THIS."), 1, "Set THIS."),
        (ThirdSentryError("See `thirdsentry doctor`"), 1, "See `thirdsentry doctor`"),
        (aws.NoCredentialsError(), 1, "AWS_PROFILE"),
        (aws.PartialCredentialsError(provider="env", cred_var="x"), 1, "AWS_PROFILE"),
        (aws.ProfileNotFound(profile=SECRET), 1, "AWS_PROFILE"),
        (aws.NoRegionError(), 1, "AWS_REGION"),
        (
            aws.EndpointConnectionError(endpoint_url=f"http://u:{SECRET}@127.0.0.1:9/x?k={SECRET}"),
            1,
            "http://127.0.0.1:9",
        ),
        (aws.ConnectTimeoutError(endpoint_url="http://127.0.0.1:9"), 1, "AWS_ENDPOINT_URL"),
        (
            aws.ClientError({"Error": {"Code": "Denied", "Message": SECRET}}, "AssumeRole"),
            1,
            "Denied to AssumeRole",
        ),
        (aws.DataNotFoundError(data_path=SECRET), 1, "AWS_*"),
        (exc.OperationalError(SECRET, {}, Exception(SECRET)), 1, "THIRDSENTRY_DATABASE_URL"),
        (psycopg.OperationalError(SECRET), 1, "THIRDSENTRY_DATABASE_URL"),
        (undefined_table(), 1, "thirdsentry db migrate"),
        (exc.DataError(SECRET, {}, psycopg.errors.DivisionByZero(SECRET)), 1, "SQLSTATE 22012"),
        (PermissionError(13, "Permission denied", "/root/home"), 1, "/root/home"),
        (RuntimeError(SECRET), 1, "--debug"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_error_becomes_a_sentence(error, code, named):
    sentence, exit_code = describe(error)
    assert exit_code == code
    assert named in sentence
    assert SECRET not in sentence
    assert "\n" not in sentence


def test_interrupt_is_exit_130_and_one_sentence(monkeypatch, capfd):
    def interrupted(*_arguments, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr("thirdsentry_pipeline.cli.main.app", interrupted)
    assert run(["status"]) == 130
    assert capfd.readouterr().err.count("\n") == 1
