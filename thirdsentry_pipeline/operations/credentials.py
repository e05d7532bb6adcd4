"""External ids at rest: AES-256-GCM under the organization's own data key.

The associated data binds a blob to its organization, connection and key version, so a blob
that is moved to another row does not open. A key is unwrapped by KMS for one operation, with
no database transaction open, and dropped with the call.
"""

from __future__ import annotations

import json
import secrets
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from thirdsentry_pipeline.domain.errors import RunFailedError
from thirdsentry_pipeline.domain.evidence import ErrorCode
from thirdsentry_pipeline.warehouse import data_keys
from thirdsentry_pipeline.warehouse.organizations import lock_organization
from thirdsentry_pipeline.warehouse.scope import organization_scope

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from sqlalchemy import Connection as DatabaseConnection

    from thirdsentry_pipeline.operations.services import Services

PENDING = "pending"
"""Stands for the connection id in the external id that waits for its connection."""

_FORMAT = b"\x01"
_NONCE_BYTES = 12
_FIRST_VERSION = 1
_SEAL_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class SealedCredential:
    """A sealed external id and the version of the data key that opens it.

    ``wrapped_key`` is that key as KMS wrapped it, where it was read along.
    """

    blob: bytes = field(repr=False)
    key_version: int
    wrapped_key: bytes | None = field(default=None, repr=False)


def digest(value: str) -> str:
    """The hexadecimal SHA-256 under which an external id or role ARN is claimed."""
    return sha256(value.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class DataKey:
    """One open version of an organization's data key; the caller keeps it to one operation."""

    organization_id: str
    version: int
    cipher: AESGCM = field(repr=False)

    def seal(self, connection_id: UUID | str, external_id: str) -> SealedCredential:
        """Seal an external id for one connection."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        bound_to = _associated_data(self.organization_id, connection_id, self.version)
        body = self.cipher.encrypt(nonce, external_id.encode(), bound_to)
        return SealedCredential(blob=_FORMAT + nonce + body, key_version=self.version)

    def open(self, connection_id: UUID | str, blob: bytes) -> str:
        """The external id that was sealed for exactly this connection.

        Raises:
            RunFailedError: ``key_unavailable`` when the blob is not ours or not this one's.
        """
        bound_to = _associated_data(self.organization_id, connection_id, self.version)
        nonce, body = blob[1 : 1 + _NONCE_BYTES], blob[1 + _NONCE_BYTES :]
        try:
            if blob[:1] != _FORMAT:
                raise InvalidTag  # noqa: TRY301 - one refusal for every blob that is not ours
            return self.cipher.decrypt(nonce, body, bound_to).decode()
        except (InvalidTag, ValueError):
            raise RunFailedError(
                ErrorCode.KEY_UNAVAILABLE,
                f"The stored external id of connection {connection_id} does not open with its "
                "organization's key; reauthenticate the connection.",
            ) from None


def seal_external_id(
    services: Services, organization_id: str, connection_id: UUID | str, external_id: str
) -> SealedCredential:
    """Seal ``external_id`` for one connection; the organization's first seal makes its key.

    Raises:
        RunFailedError: ``key_unavailable`` when KMS refuses or does not answer.
    """
    version, wrapped = _current_key(services, organization_id)
    key = DataKey(
        organization_id, version, AESGCM(services.keys.unwrap(organization_id, version, wrapped))
    )
    return key.seal(connection_id, external_id)


@contextmanager
def storing_external_id(
    services: Services, organization_id: str, connection_id: UUID | str, external_id: str
) -> Iterator[tuple[DatabaseConnection, SealedCredential]]:
    """A transaction to store the sealed id in, with the organization locked.

    KMS is asked before the transaction; if the key was rotated in between, once more, so that a
    rotation leaves nothing sealed by an older version.

    Raises:
        RunFailedError: ``key_unavailable`` when KMS refuses, or the key does not stand still.
    """
    for _ in range(_SEAL_ATTEMPTS):
        sealed = seal_external_id(services, organization_id, connection_id, external_id)
        with organization_scope(services.pipeline, organization_id) as database:
            lock_organization(database)
            current = data_keys.current_data_key(database)
            if current is not None and current[0] == sealed.key_version:
                yield database, sealed
                return
    raise RunFailedError(
        ErrorCode.KEY_UNAVAILABLE,
        f"The data key of organization {organization_id} is being rotated; try again.",
    )


def open_external_id(
    services: Services, organization_id: str, connection_id: UUID | str, sealed: SealedCredential
) -> str:
    """The external id that was sealed for exactly this organization and connection.

    Raises:
        RunFailedError: ``key_unavailable`` when the key can't be had or the blob belongs
            to another organization, connection or key version.
    """
    key = unwrap_data_key(services, organization_id, sealed.key_version, wrapped=sealed.wrapped_key)
    return key.open(connection_id, sealed.blob)


def unwrap_data_key(
    services: Services,
    organization_id: str,
    version: int,
    *,
    kms_key_id: str | None = None,
    wrapped: bytes | None = None,
) -> DataKey:
    """One version of the organization's data key, opened by the KMS key of the settings.

    ``kms_key_id`` names another one: rotation alone opens with the key that wrapped it.
    ``wrapped`` is the wrapped key where the caller has read it already.

    Raises:
        RunFailedError: ``key_unavailable``.
    """
    if wrapped is None:
        with organization_scope(services.pipeline, organization_id) as connection:
            wrapped = data_keys.data_key(connection, version)
    if wrapped is None:
        raise RunFailedError(
            ErrorCode.KEY_UNAVAILABLE,
            f"Organization {organization_id} has no data key of version {version}; "
            "reauthenticate the connection to seal its external id again.",
        )
    plain = services.keys.unwrap(organization_id, version, wrapped, key_id=kms_key_id)
    return DataKey(organization_id, version, AESGCM(plain))


def _current_key(services: Services, organization_id: str) -> tuple[int, bytes]:
    with organization_scope(services.pipeline, organization_id) as connection:
        current = data_keys.current_data_key(connection)
    if current is None:
        wrapped, name = services.keys.generate_with_name(organization_id, _FIRST_VERSION)
        with organization_scope(services.pipeline, organization_id) as connection:
            # Another process may have been first: its key is the one that stands.
            data_keys.insert_data_key(
                connection, version=_FIRST_VERSION, kms_key_id=name, wrapped_key=wrapped
            )
            current = data_keys.current_data_key(connection)
    if current is None:
        raise RunFailedError(
            ErrorCode.KEY_UNAVAILABLE,
            f"The data key of organization {organization_id} could not be stored.",
        )
    version, _, wrapped_key = current
    return version, wrapped_key


def _associated_data(organization_id: str, connection_id: UUID | str, version: int) -> bytes:
    # JSON keeps the fields apart: ("ab", "c") and ("a", "bc") differ.
    return json.dumps(
        ["thirdsentry/external-id", organization_id, str(connection_id), version]
    ).encode()
