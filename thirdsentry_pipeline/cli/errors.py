"""From any exception to one sentence and an exit code.

Sentences name what failed and the setting to change. Texts of foreign exceptions are not
repeated: a driver's message may quote a statement, and a statement may hold a secret.
"""

import re
import sys
from typing import Any
from urllib.parse import urlsplit

from typer import TyperException

from thirdsentry_pipeline.domain.errors import ThirdSentryError

FAILED = 1
USAGE = 2
INTERRUPTED = 130
NO_CREDENTIALS = (
    "There are no AWS credentials: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and its secret."
)
MISSING_AWS = {
    "NoCredentialsError": NO_CREDENTIALS,
    "PartialCredentialsError": NO_CREDENTIALS,
    "ProfileNotFound": "That AWS profile does not exist: correct AWS_PROFILE.",
    "NoRegionError": "There is no AWS region: set AWS_REGION.",
}


def describe(error: BaseException) -> tuple[str, int]:
    """The sentence for stderr and the exit code."""
    if isinstance(error, ThirdSentryError):
        return one_line(str(error)), error.exit_code
    if isinstance(error, TyperException):
        return one_line(error.format_message()), error.exit_code
    foreign = describe_aws(error) or describe_database(error) or describe_disk(error)
    if foreign is not None:
        return foreign, FAILED
    sentence = (
        f"This should not happen ({type(error).__name__}): "
        "run the same command with --debug to see where it failed."
    )
    return sentence, FAILED


def one_line(text: str) -> str:
    """The text on one line, ending with a full stop or what the author chose instead."""
    sentence = re.sub(r"\s+", " ", text).strip()
    return sentence if sentence.endswith((".", "!", "?", "`")) else f"{sentence}."


def describe_aws(error: BaseException) -> str | None:
    """A sentence for what boto3 raises on our own AWS side, or None."""
    known = sys.modules.get("botocore.exceptions")
    if known is None or not isinstance(error, known.BotoCoreError | known.ClientError):
        return None
    if isinstance(error, known.HTTPClientError | known.ConnectionError):
        address = bare_address(getattr(error, "kwargs", {}).get("endpoint_url"))
        return (
            f"The AWS endpoint{address} did not answer: check the network, "
            "or AWS_ENDPOINT_URL if it is set."
        )
    if isinstance(error, known.ClientError):
        code = error.response.get("Error", {}).get("Code", "an error")
        return (
            f"AWS answered {code} to {error.operation_name} with the platform's own "
            "credentials: check what AWS_PROFILE or AWS_ACCESS_KEY_ID may do."
        )
    for name, sentence in MISSING_AWS.items():
        if isinstance(error, getattr(known, name)):
            return sentence
    return f"The AWS call failed ({type(error).__name__}): check the AWS_* settings."


def bare_address(url: Any) -> str:
    """``" http://host:port"`` without path, login or query, or an empty text."""
    if not isinstance(url, str):
        return ""
    parts = urlsplit(url)
    return f" {parts.scheme}://{parts.hostname or ''}" + (f":{parts.port}" if parts.port else "")


def describe_database(error: BaseException) -> str | None:
    """A sentence for what SQLAlchemy and psycopg raise, or None."""
    known = sys.modules.get("sqlalchemy.exc")
    if known is not None and isinstance(error, known.SQLAlchemyError):
        cause = getattr(error, "orig", None)
        if isinstance(error, known.OperationalError | known.InterfaceError):
            return unreachable_database()
        return database_refused(cause or error)
    for driver in ("psycopg", "psycopg2"):
        module = sys.modules.get(driver)
        if module is not None and isinstance(error, module.Error):
            is_connection = isinstance(error, module.OperationalError | module.InterfaceError)
            return unreachable_database() if is_connection else database_refused(error)
    return None


def unreachable_database() -> str:
    """What to say when Postgres did not answer."""
    return (
        "Postgres did not answer: check THIRDSENTRY_DATABASE_URL, or, for the embedded server, "
        "run `thirdsentry db start`."
    )


def database_refused(error: BaseException) -> str:
    """What to say when Postgres answered with an error; the text of the error is not shown."""
    state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    detail = f"SQLSTATE {state}" if state else type(error).__name__
    if state in {"42P01", "3F000", "42883", "42703"}:
        return f"The warehouse is not at this version ({detail}): run `thirdsentry db migrate`."
    return f"Postgres refused ({detail}): run the same command with --debug to see the statement."


def describe_disk(error: BaseException) -> str | None:
    """A sentence for a file or port that the system refused, or None."""
    if not isinstance(error, OSError):
        return None
    reason = (error.strerror or type(error).__name__).lower()
    where = f" at {error.filename}" if error.filename else ""
    return f"The system refused ({reason}){where}: check THIRDSENTRY_HOME."
