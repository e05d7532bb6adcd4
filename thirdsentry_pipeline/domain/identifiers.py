"""What people type: ids, role ARNs, days. Parsed once, strictly, with a sentence when wrong."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from thirdsentry_pipeline.domain.errors import InputError
from thirdsentry_pipeline.domain.evidence import EvidenceType

if TYPE_CHECKING:
    from thirdsentry_pipeline.domain.time import Clock

DEFAULT_REGIONS = {
    "aws": "us-east-1",
    "aws-us-gov": "us-gov-west-1",
    "aws-cn": "cn-north-1",
}
EXTERNAL_ID_MIN_LENGTH = 8
EXTERNAL_ID_MAX_LENGTH = 256
_ARN_MAX_LENGTH = 2048
_SHOWN_LENGTH = 100

_ORGANIZATION_ID = re.compile(r"[0-9a-f]{24}")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_FINGERPRINT = re.compile(r"fp1:[0-9a-f]{64}")
# STS's own alphabet for external ids; ASCII, because STS compares bytes.
_EXTERNAL_ID = re.compile(r"[\w+=,.@:/-]+", re.ASCII)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_ACCOUNT_ID = re.compile(r"[0-9]{12}")
_ROLE_NAME = re.compile(r"[\w+=,.@-]{1,64}", re.ASCII)
_ROLE_PATH = re.compile(r"([\x21-\x7e]{1,510}/)?")

_GOOD_ARN = "arn:aws:iam::123456789012:role/ThirdSentryReadOnly"


def _shown(text: str) -> str:
    """The typed text as an error may repeat it: quoted, printable, short."""
    cut = text if len(text) <= _SHOWN_LENGTH else text[:_SHOWN_LENGTH] + "…"
    return ascii(cut)


def parse_organization_id(text: str) -> str:
    """An organization id: an ObjectId in 24 lowercase hex characters.

    Raises:
        InputError: it is anything else.
    """
    if _ORGANIZATION_ID.fullmatch(text):
        return text
    message = (
        f"The organization id {_shown(text)} is not 24 lowercase hex characters, "
        "such as 64b7f3a2c1d4e5f60718293a."
    )
    raise InputError(message)


def parse_connection_id(text: str) -> UUID:
    """A connection id: a UUID in its usual hyphenated form.

    Raises:
        InputError: it is anything else.
    """
    return _parse_uuid(text, "connection")


def parse_assessment_id(text: str) -> UUID:
    """An assessment id: a UUID in its usual hyphenated form.

    Raises:
        InputError: it is anything else.
    """
    return _parse_uuid(text, "assessment")


def parse_evidence_reference(text: str) -> UUID | str:
    """One piece of evidence by its id (a UUID) or by its fingerprint, as ``evidence`` shows it.

    Raises:
        InputError: it is neither.
    """
    if _FINGERPRINT.fullmatch(text):
        return text
    if _UUID.fullmatch(text):
        return UUID(text)
    message = (
        f"The evidence {_shown(text)} is neither a fingerprint (fp1: and 64 hex characters) nor "
        "a UUID, such as 3f0c9a52-6b1e-4d7a-9c55-0a8e2f4b7d10."
    )
    raise InputError(message)


def _parse_uuid(text: str, what: str) -> UUID:
    if _UUID.fullmatch(text):
        return UUID(text)
    message = (
        f"The {what} id {_shown(text)} is not a UUID, such as 3f0c9a52-6b1e-4d7a-9c55-0a8e2f4b7d10."
    )
    raise InputError(message)


def parse_external_id(text: str) -> str:
    """An external id: 8 to 256 characters that STS accepts. The error never repeats it.

    Raises:
        InputError: its length or alphabet is wrong.
    """
    if not EXTERNAL_ID_MIN_LENGTH <= len(text) <= EXTERNAL_ID_MAX_LENGTH:
        message = (
            f"The external id has {len(text)} characters; it must have "
            f"{EXTERNAL_ID_MIN_LENGTH} to {EXTERNAL_ID_MAX_LENGTH}, "
            "such as acme-audit-2026."
        )
        raise InputError(message)
    if not _EXTERNAL_ID.fullmatch(text):
        message = (
            "The external id may hold only letters, digits and _ + = , . @ : / -, "
            "such as acme-audit-2026."
        )
        raise InputError(message)
    return text


def parse_evidence_type(text: str) -> EvidenceType:
    """An evidence type by its slug.

    Raises:
        InputError: there is no such type; the text lists those there are.
    """
    try:
        return EvidenceType(text)
    except ValueError:
        known = ", ".join(EvidenceType)
        message = f"There is no evidence type {_shown(text)}; there are {known}."
        raise InputError(message) from None


def parse_day(text: str) -> date:
    """A calendar day written YYYY-MM-DD.

    Raises:
        InputError: it is written otherwise, or the calendar has no such day.
    """
    if _DAY.fullmatch(text):
        try:
            return date.fromisoformat(text)
        except ValueError:
            message = f"The calendar has no day {_shown(text)}; write one such as 2026-11-23."
            raise InputError(message) from None
    message = f"The day {_shown(text)} is not written YYYY-MM-DD, such as 2026-11-23."
    raise InputError(message)


def today(clock: Clock) -> date:
    """The current day in UTC."""
    return clock().astimezone(UTC).date()


def require_today(day: date, clock: Clock) -> None:
    """Let only the current UTC day through: AWS tells its present state, no other.

    Raises:
        InputError: the day is past or to come.
    """
    current = today(clock)
    if day < current:
        message = (
            f"Evidence for {day} can't be collected any more, because AWS can't be read in the "
            f"past; the day to collect is {current} (UTC)."
        )
        raise InputError(message)
    if day > current:
        message = f"{day} has not begun; the day to collect is {current} (UTC)."
        raise InputError(message)


def queued_day_may_start(day: date, now: datetime) -> bool:
    """Whether a run that was queued for ``day`` may still start at ``now`` (aware).

    Today may; yesterday may within the first hour after midnight UTC, because a run queued
    late in the evening is the scheduler's delay and not an attempt to read the past.
    """
    now = now.astimezone(UTC)
    current = now.date()
    return day == current or (day == current - timedelta(days=1) and now.hour == 0)


@dataclass(frozen=True, slots=True)
class RoleArn:
    """The ARN of an IAM role; ``path_and_name`` is what follows ``role/``."""

    partition: str
    account_id: str
    path_and_name: str

    @classmethod
    def parse(cls, text: str) -> RoleArn:
        """Read a role ARN, saying which part is wrong when one is.

        Raises:
            InputError: it is not the ARN of an IAM role in a partition we serve.
        """
        parts = text.split(":", 5)
        if len(parts) != 6 or parts[0] != "arn" or len(text) > _ARN_MAX_LENGTH:  # noqa: PLR2004 - an ARN has six
            raise _bad_arn(text, "it is not an ARN")
        _, partition, service, region, account_id, resource = parts
        kind, _, path_and_name = resource.partition("/")
        path, slash, name = path_and_name.rpartition("/")
        if partition not in DEFAULT_REGIONS:
            raise _bad_arn(text, f"its partition is not one of {', '.join(DEFAULT_REGIONS)}")
        if service != "iam":
            raise _bad_arn(text, "its service is not iam")
        if region:
            raise _bad_arn(text, "roles have no region")
        if not _ACCOUNT_ID.fullmatch(account_id):
            raise _bad_arn(text, "its account id is not 12 digits")
        if kind != "role":
            raise _bad_arn(text, "it does not name a role")
        if not _ROLE_NAME.fullmatch(name) or not _ROLE_PATH.fullmatch(path + slash):
            raise _bad_arn(text, "its role name is not one that IAM allows")
        return cls(partition, account_id, path_and_name)

    def __str__(self) -> str:
        return f"arn:{self.partition}:iam::{self.account_id}:role/{self.path_and_name}"

    @property
    def role_name(self) -> str:
        """The name without its path."""
        return self.path_and_name.rpartition("/")[2]

    @property
    def default_region(self) -> str:
        """The region whose STS endpoint opens this role, and where global services are asked."""
        return DEFAULT_REGIONS[self.partition]

    @property
    def account_root_arn(self) -> str:
        """The ARN of the account's root user."""
        return account_root_arn(self.partition, self.account_id)


def account_root_arn(partition: str, account_id: str) -> str:
    """The ARN of an account's root user, as IAM writes it in ``User.Arn``."""
    return f"arn:{partition}:iam::{account_id}:root"


def _bad_arn(text: str, why: str) -> InputError:
    return InputError(f"The role ARN {_shown(text)} can't be used: {why}; write {_GOOD_ARN}.")
