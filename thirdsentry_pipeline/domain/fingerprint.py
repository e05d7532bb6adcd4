"""The canonical form of a payload, and the fingerprint over it.

The same state of the same account always gives the same fingerprint: whatever the order of
lists and keys, the unicode form of names (NFC counts), the writing of numbers (``1``, ``1.0``),
or the volatile fields (times of reports and deliveries). Any other change gives another one.
"""

from __future__ import annotations

import hashlib
import operator
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import rfc8785

from thirdsentry_pipeline.domain.errors import MalformedPayloadError
from thirdsentry_pipeline.domain.evidence import (
    ErrorCode,
    EvidenceType,
    Reading,
    ReadStatus,
    Verdict,
)

SCHEMA_VERSION = 1
"""Version of the payload shapes; hashed, so that a new shape never poses as an old one."""

FINGERPRINT_PREFIX = "fp1:"
"""Version of the hashing itself."""

ACCOUNT_SUBJECT = "account"
"""The subject of all evidence about an account as a whole; all seven types are."""

LARGEST_NUMBER = 2**53 - 1
"""Beyond it, JSON readers disagree about which number was written."""

VOLATILE_FIELDS: Mapping[EvidenceType, frozenset[tuple[str, ...]]] = {
    EvidenceType.ROOT_MFA: frozenset({("report_generated_at",)}),
    EvidenceType.MFA_COVERAGE: frozenset({("report_generated_at",)}),
    EvidenceType.CLOUDTRAIL_LOGGING: frozenset(
        {("trails", "latest_delivery_at"), ("trails", "latest_delivery_error")}
    ),
    EvidenceType.GUARDDUTY_FINDINGS: frozenset({("findings", "last_seen_at")}),
}
"""Fields that stay in the payload and out of the hash, as paths through mappings; lists on the
way are passed through."""

# What tells the records of a list apart, so that lists read in the order people expect.
_IDENTITY_KEYS = ("arn", "region", "finding_id")
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """``value`` is ``fp1:`` and the hex SHA-256 of ``canonical``, the exact bytes hashed."""

    value: str
    canonical: bytes


def fingerprint_of(
    *,
    organization_id: str,
    account_id: str,
    evidence_type: EvidenceType,
    subject: str,
    verdict: Verdict,
    payload: Mapping[str, Any],
) -> Fingerprint:
    """Fingerprint one piece of evidence.

    Raises:
        MalformedPayloadError: the payload can't be carried faithfully.
    """
    document = {
        "schema_version": SCHEMA_VERSION,
        "organization_id": organization_id,
        "account_id": account_id,
        "evidence_type": evidence_type.value,
        "subject": subject,
        "verdict": verdict.value,
        "payload": _without(payload, VOLATILE_FIELDS.get(evidence_type, frozenset())),
    }
    canonical = rfc8785.dumps(canonical_payload(document))
    return Fingerprint(FINGERPRINT_PREFIX + hashlib.sha256(canonical).hexdigest(), canonical)


def canonical_payload(payload: Mapping[str, Any]) -> dict[str, Any]:
    """The payload as it is stored: NFC text, sorted lists, one writing per number.

    Raises:
        MalformedPayloadError: the payload can't be carried faithfully.
    """
    return _mapping(payload, "payload")


def with_canonical_payload(reading: Reading) -> Reading:
    """The reading with its payload in canonical form, or a ``malformed`` one without a verdict.

    A value that can't be stored is no evidence, so it must not keep the verdict drawn from it.
    """
    if reading.payload is None:
        return reading
    try:
        return replace(reading, payload=canonical_payload(reading.payload))
    except MalformedPayloadError:
        return Reading(
            reading.evidence_type,
            ReadStatus.ERROR,
            error_code=ErrorCode.MALFORMED,
            regions_unread=reading.regions_unread,
        )


def nfc(text: str) -> str:
    """The text in unicode's composed form, as a plain ``str``."""
    plain = str.__str__(text)
    return plain if plain.isascii() else unicodedata.normalize("NFC", plain)


def canonical_text(text: str, where: str = "text") -> str:
    """The NFC form of a text, as a plain ``str``.

    Raises:
        MalformedPayloadError: it holds a NUL character or a lone surrogate.
    """
    plain = nfc(text)
    if "\x00" in plain:
        message = f"{where} holds a NUL character, which Postgres can't store"
        raise MalformedPayloadError(message)
    if not plain.isascii() and _SURROGATE.search(plain):
        message = f"{where} holds a lone surrogate, which is no text"
        raise MalformedPayloadError(message)
    return plain


def _value(value: Any, where: str) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return canonical_text(value, where)
    if isinstance(value, int | float):
        return _number(value, where)
    if isinstance(value, Mapping):
        return _mapping(value, where)
    if isinstance(value, list | tuple):
        return _sorted([_value(item, f"{where}[]") for item in value])
    message = f"{where} is a {type(value).__name__}, which JSON does not know"
    raise MalformedPayloadError(message)


def _number(value: float, where: str) -> int | float:
    if not abs(value) <= LARGEST_NUMBER:  # so written, NaN is refused too
        message = f"{where} is not a number that JSON carries exactly"
        raise MalformedPayloadError(message)
    return int(value) if value == int(value) else float(value)


def _mapping(value: Mapping[Any, Any], where: str) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, item in value.items():
        if not isinstance(key, str):
            message = f"{where} has a key that is not text"
            raise MalformedPayloadError(message)
        name = canonical_text(key, f"a key of {where}")
        if name in result:
            message = f"{where} has the same key twice"
            raise MalformedPayloadError(message)
        result[name] = _value(item, f"{where}.{name}")
    return result


def _sorted(values: list[Any]) -> list[Any]:
    """Text sorts as text, records by what names them; canonical bytes settle the rest."""
    names = [_name(value) for value in values]
    if len(set(names)) == len(names):
        return [value for _, value in sorted(zip(names, values, strict=True), key=_first)]
    ranks = [
        (name, b"" if isinstance(value, str) else rfc8785.dumps(value))
        for name, value in zip(names, values, strict=True)
    ]
    return [value for _, value in sorted(zip(ranks, values, strict=True), key=_first)]


_first = operator.itemgetter(0)


def _name(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    identity: Sequence[Any] = ()
    if isinstance(value, dict):
        identity = [value.get(key) for key in _IDENTITY_KEYS]
    return tuple("" if part is None else str(part) for part in identity)


def _without(value: Any, paths: frozenset[tuple[str, ...]]) -> Any:
    if not paths:
        return value
    if isinstance(value, Mapping):
        return {
            key: _without(item, frozenset(path[1:] for path in paths if path[0] == key))
            for key, item in value.items()
            if (key,) not in paths
        }
    if isinstance(value, list | tuple):
        return [_without(item, paths) for item in value]
    return value
