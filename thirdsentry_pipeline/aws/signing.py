"""Signing requests as one account, by botocore's rules for signature version 4.

What is signed of a request differs from attempt to attempt in its time and, between accounts, in
the session's token. All the rest is written once, by botocore, with gaps for the two; and a
signing key is derived once for a day, a region and a service, not for every request.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from hashlib import sha256
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import botocore.auth

if TYPE_CHECKING:
    from collections.abc import Mapping

_ALGORITHM = "AWS4-HMAC-SHA256"
_VERSIONS = {"v4": botocore.auth.SigV4Auth, "s3v4": botocore.auth.S3SigV4Auth}
# No header, path or query of a request can hold these characters.
_TIME = "\x01"
_TOKEN = "\x02"  # noqa: S105 - where a token goes


@dataclass(frozen=True, slots=True)
class _Draft:
    """What of a request is signed, in pieces between the time and the token, and its headers."""

    pieces: tuple[str, str, str]
    signed_headers: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Composed:
    """A request without what each attempt adds: its number, its time and its signature."""

    operation: Any
    action: str
    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None
    length: str | None
    context: Mapping[str, Any]
    signature_version: str
    signing_name: str
    signing_region: str
    _drafts: dict[bool, _Draft] = field(default_factory=dict)

    def draft(self, *, has_token: bool) -> _Draft:
        """The draft for a session with a token, or for credentials without one.

        Raises:
            ValueError: the operation is signed in a way that no account session needs.
        """
        if has_token not in self._drafts:
            self._drafts[has_token] = self._draft(_TOKEN if has_token else None)
        return self._drafts[has_token]

    def _draft(self, token: str | None) -> _Draft:
        version = _VERSIONS.get(self.signature_version)
        if version is None:
            message = f"{self.action} is not signed by version 4"
            raise ValueError(message)
        signer = version(SimpleNamespace(token=token), self.signing_name, self.signing_region)
        request = Request(self, {**self.context, "timestamp": _TIME})
        signer._modify_request_before_signing(request)  # noqa: SLF001 - it has no other name
        canonical = signer.canonical_request(request)
        before, time, rest = canonical.partition(_TIME)
        between, _, after = rest.partition(_TOKEN)
        if not time or _TIME in rest:
            message = f"{self.action} can't be signed: where its time goes is not clear"
            raise ValueError(message)
        # Its last two lines are the names of the signed headers and the hash of the body.
        names = canonical.rsplit("\n", 2)[1]
        return _Draft((before, between, after), names, request.headers)


class Request:
    """A request on its way: what is composed of it, and what one attempt adds."""

    __slots__ = ("body", "context", "headers", "method", "params", "stream_output", "url")

    def __init__(self, composed: Composed, context: dict[str, Any]) -> None:
        self.method = composed.method
        self.url = composed.url
        self.headers = dict(composed.headers)
        self.body = composed.body
        self.context = context
        self.params = None
        self.stream_output = True


class Signer:
    """Signs as one identity for its whole life; safe in several threads at once."""

    __slots__ = ("_credentials", "_keys")

    def __init__(self, credentials: Any) -> None:
        """``credentials`` are botocore's; own ones of the platform may renew themselves."""
        self._credentials = credentials
        self._keys: dict[tuple[str, ...], bytes] = {}

    def sign(self, request: Request, composed: Composed) -> None:
        """Add the signature and what belongs to it.

        Raises:
            botocore.exceptions.NoCredentialsError: there are none.
            ValueError: the operation is signed in a way that no account session needs.
        """
        if self._credentials is None:
            raise botocore.auth.NoCredentialsError
        as_whom = self._credentials.get_frozen_credentials()
        time = botocore.auth.get_current_datetime().strftime(botocore.auth.SIGV4_TIMESTAMP)
        draft = composed.draft(has_token=bool(as_whom.token))
        before, between, after = draft.pieces
        canonical = f"{before}{time}{between}{as_whom.token or ''}{after}"
        place = (time[:8], composed.signing_region, composed.signing_name, "aws4_request")
        scope = "/".join(place)
        hashed = sha256(canonical.encode()).hexdigest()
        to_sign = f"{_ALGORITHM}\n{time}\n{scope}\n{hashed}"
        signature = _digest(self._key(as_whom, place), to_sign).hex()
        request.headers = {**draft.headers, "X-Amz-Date": time}
        if as_whom.token:
            request.headers["X-Amz-Security-Token"] = as_whom.token
        request.headers["Authorization"] = (
            f"{_ALGORITHM} Credential={as_whom.access_key}/{scope}, "
            f"SignedHeaders={draft.signed_headers}, Signature={signature}"
        )

    def _key(self, as_whom: Any, place: tuple[str, ...]) -> bytes:
        """The key that is good for a day, a region and a service."""
        known = (as_whom.access_key, *place)
        key = self._keys.get(known)
        if key is None:
            key = f"AWS4{as_whom.secret_key}".encode()
            for part in place:
                key = _digest(key, part)
            self._keys[known] = key
        return key


def _digest(key: bytes, text: str) -> bytes:
    # Not hmac.digest: it lets another thread take over, which costs more than it computes.
    return hmac.new(key, text.encode(), sha256).digest()
