"""Signing requests as one account, by botocore's rules for signature version 4.

botocore derives the signing key anew for every request and keeps headers in the classes of mail
messages, both of which cost more than the signature itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.auth import SIGNED_HEADERS_BLACKLIST, S3SigV4Auth, SigV4Auth, _host_from_url

if TYPE_CHECKING:
    from thirdsentry_pipeline.aws.dialects import Composed

_NOT_SIGNED = frozenset(SIGNED_HEADERS_BLACKLIST)


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


class _Headers(dict[str, str]):
    """Headers of which none comes twice, as botocore's signer reads them."""

    def get_all(self, name: str) -> tuple[str]:
        return (self[name],)


class _KeptKeys(SigV4Auth):  # type: ignore[misc]  # botocore ships no types
    """botocore's signer with the keys of its session at hand."""

    def __init__(self, credentials: Any, service: str, region: str, keys: dict[Any, bytes]) -> None:
        super().__init__(credentials, service, region)
        self._keys = keys

    def headers_to_sign(self, request: Request) -> _Headers:
        """The headers that count, in lower case."""
        headers = _Headers()
        for name, value in request.headers.items():
            lower = name.lower()
            if lower not in _NOT_SIGNED:
                headers[lower] = value
        if "host" not in headers:
            headers["host"] = _host_from_url(request.url)
        return headers

    def signature(self, string_to_sign: str, request: Request) -> str:
        """The signature, by a key that is good for a day, a region and a service."""
        day = request.context["timestamp"][:8]
        scope = (self.credentials.access_key, day, self._region_name, self._service_name)
        key = self._keys.get(scope)
        if key is None:
            key = f"AWS4{self.credentials.secret_key}".encode()
            for part in (*scope[1:], "aws4_request"):
                key = self._sign(key, part)
            self._keys[scope] = key
        signed: str = self._sign(key, string_to_sign, hex=True)
        return signed


class _KeptKeysS3(_KeptKeys, S3SigV4Auth):  # type: ignore[misc]  # botocore ships no types
    """The same with the rules of S3."""


_VERSIONS = {"v4": _KeptKeys, "s3v4": _KeptKeysS3}


class Signer:
    """Signs as one identity for its whole life; safe in several threads at once."""

    __slots__ = ("_credentials", "_keys")

    def __init__(self, credentials: Any) -> None:
        """``credentials`` are botocore's; own ones of the platform may renew themselves."""
        self._credentials = credentials
        self._keys: dict[Any, bytes] = {}

    def sign(self, request: Request, composed: Composed) -> None:
        """Add the signature and what belongs to it.

        Raises:
            botocore.exceptions.NoCredentialsError: there are none.
            ValueError: the operation is signed in a way that no account session needs.
        """
        kind = _VERSIONS.get(composed.signature_version)
        if kind is None:
            message = f"{composed.action} is not signed by version 4"
            raise ValueError(message)
        given = self._credentials
        frozen = None if given is None else given.get_frozen_credentials()
        kind(frozen, composed.signing_name, composed.signing_region, self._keys).add_auth(request)
