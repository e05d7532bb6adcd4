"""External ids at rest: AES-256-GCM under the organization's own data key.

The associated data binds a blob to its organization, connection and key version, so a blob
that is moved to another row does not open. A key is unwrapped by KMS for one operation, with
no database transaction open, and dropped with the call.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from thirdsentry_pipeline.domain.errors import RunFailedError
from thirdsentry_pipeline.domain.evidence import ErrorCode
from thirdsentry_pipeline.warehouse import data_keys
from thirdsentry_pipeline.warehouse.scope import organization_scope

if TYPE_CHECKING:
    from uuid import UUID

    from thirdsentry_pipeline.operations.services import Services

PENDING = "pending"
"""Stands for the connection id in the external id that waits for its connection."""

_FORMAT = b"\x01"
_NONCE_BYTES = 12
_FIRST_VERSION = 1


@dataclass(frozen=True, slots=True)
class SealedCredential:
    """A sealed external id and the version of the data key that opens it."""

    blob: bytes = field(repr=False)
    key_version: int


def digest(value: str) -> str:
    """The hexadecimal SHA-256 under which an external id or role ARN is claimed."""
    return sha256(value.encode()).hexdigest()


def seal_external_id(
    services: Services, organization_id: str, connection_id: UUID | str, external_id: str
) -> SealedCredential:
    """Seal ``external_id`` for one connection; the organization's first seal makes its key.

    Raises:
        RunFailedError: ``key_unavailable`` when KMS refuses or does not answer.
    """
    version, wrapped = _current_key(services, organization_id)
    cipher = AESGCM(services.keys.unwrap(organization_id, version, wrapped))
    nonce = secrets.token_bytes(_NONCE_BYTES)
    bound_to = _associated_data(organization_id, connection_id, version)
    sealed = cipher.encrypt(nonce, external_id.encode(), bound_to)
    return SealedCredential(blob=_FORMAT + nonce + sealed, key_version=version)


def open_external_id(
    services: Services, organization_id: str, connection_id: UUID | str, sealed: SealedCredential
) -> str:
    """The external id that was sealed for exactly this organization and connection.

    Raises:
        RunFailedError: ``key_unavailable`` when the key can't be had or the blob belongs
            to another organization, connection or key version.
    """
    with organization_scope(services.pipeline, organization_id) as connection:
        wrapped = data_keys.data_key(connection, sealed.key_version)
    if wrapped is None:
        raise RunFailedError(
            ErrorCode.KEY_UNAVAILABLE,
            f"Organization {organization_id} has no data key of version {sealed.key_version}; "
            "reauthenticate the connection to seal its external id again.",
        )
    cipher = AESGCM(services.keys.unwrap(organization_id, sealed.key_version, wrapped))
    bound_to = _associated_data(organization_id, connection_id, sealed.key_version)
    nonce, body = sealed.blob[1 : 1 + _NONCE_BYTES], sealed.blob[1 + _NONCE_BYTES :]
    try:
        if sealed.blob[:1] != _FORMAT:
            raise InvalidTag  # noqa: TRY301 - one refusal for every blob that is not ours
        return cipher.decrypt(nonce, body, bound_to).decode()
    except (InvalidTag, ValueError):
        raise RunFailedError(
            ErrorCode.KEY_UNAVAILABLE,
            f"The stored external id of connection {connection_id} does not open with its "
            "organization's key; reauthenticate the connection.",
        ) from None


def _current_key(services: Services, organization_id: str) -> tuple[int, bytes]:
    with organization_scope(services.pipeline, organization_id) as connection:
        current = data_keys.current_data_key(connection)
    if current is None:
        wrapped = services.keys.generate(organization_id, _FIRST_VERSION)
        with organization_scope(services.pipeline, organization_id) as connection:
            # Another process may have been first: its key is the one that stands.
            data_keys.insert_data_key(
                connection,
                version=_FIRST_VERSION,
                kms_key_id=services.keys.key_id,
                wrapped_key=wrapped,
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
