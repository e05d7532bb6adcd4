"""Readers of single environment variables; each says in one sentence what it expected."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import SplitResult, urlsplit

from thirdsentry_pipeline.domain.errors import ConfigurationError

BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
# The last is what Dagster's own storage needs named, so that one variable serves both.
POSTGRES_SCHEMES = frozenset(
    {"postgres", "postgresql", "postgresql+psycopg", "postgresql+psycopg2"}
)


@dataclass(frozen=True, slots=True)
class Environment:
    """Checked access to the variables; none of its errors repeats a value that may be secret."""

    variables: Mapping[str, str] = field(repr=False)

    def text(self, name: str) -> str | None:
        """The value without surrounding blanks, or None when it is empty or unset."""
        return self.variables.get(name, "").strip() or None

    def directory(self, name: str, default: str) -> Path:
        """An absolute path; whether it exists is not looked at."""
        path = Path(self.text(name) or default).expanduser().absolute()
        if path.exists() and not path.is_dir():
            raise rejected(name, f"a directory, and {path} is not one")
        return path

    def whole_number(self, name: str, *, default: int, least: int, most: int) -> int:
        """A whole number within bounds."""
        text = self.text(name)
        if text is None:
            return default
        expected = f"a whole number from {least} to {most}, got {text[:40]!r}"
        if not re.fullmatch(r"[0-9]{1,9}", text) or not least <= int(text) <= most:
            raise rejected(name, expected)
        return int(text)

    def database_url(self, name: str) -> str | None:
        """A Postgres URL with a login, a host and a database, in its plain form."""
        text = self.text(name)
        if text is None:
            return None
        parts = split(text)
        database = parts.path.lstrip("/") if parts else ""
        if (
            parts is None
            or parts.scheme not in POSTGRES_SCHEMES
            or not (parts.username and parts.hostname and database)
            or "/" in database
        ):
            raise rejected(name, "a URL like postgresql://login:password@host:5432/thirdsentry")
        return parts._replace(scheme="postgresql").geturl()

    def web_url(self, name: str, *, plain: Literal["loopback", "anywhere"]) -> str | None:
        """An https URL; http only where ``plain`` allows it."""
        text = self.text(name)
        if text is None:
            return None
        parts = split(text)
        if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname:
            raise rejected(name, "a URL like https://host/path")
        if parts.scheme == "http" and plain == "loopback" and parts.hostname not in LOOPBACK:
            raise rejected(name, "an https URL: http is accepted for this machine alone")
        return text

    def arn(self, name: str, *services: str) -> str | None:
        """An ARN of one of the services."""
        text = self.text(name)
        if text is None:
            return None
        pattern = rf"arn:aws[a-z-]*:({'|'.join(services)}):[a-z0-9-]*:[0-9]{{12}}:\S+"
        if not re.fullmatch(pattern, text):
            example = {
                "iam": "arn:aws:iam::123456789012:role/thirdsentry",
                "sns": "arn:aws:sns:us-east-1:123456789012:alerts",
            }[services[0]]
            raise rejected(name, f"an ARN like {example}")
        return text

    def bucket(self, name: str) -> str | None:
        """An S3 bucket's name."""
        text = self.text(name)
        if text is not None and not BUCKET.fullmatch(text):
            raise rejected(name, "an S3 bucket's name like acme-audit-anchors")
        return text


def split(url: str) -> SplitResult | None:
    """The parts of a URL, or None when it is malformed or its port is not a number."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - reading it is what checks it
    except ValueError:
        return None
    return parts


def rejected(name: str, expected: str) -> ConfigurationError:
    """The error for a variable whose value is not what was expected."""
    return ConfigurationError(f"{name} must be {expected}.")
