"""A new data key for an organization, and every external id sealed again under it.

KMS is asked with no transaction open. One transaction then stores the key, the blobs and the
audit row: a rotation that fails leaves everything under the older versions, which stay for runs
that hold a blob of theirs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from thirdsentry_pipeline.domain.errors import RunFailedError
from thirdsentry_pipeline.domain.evidence import ErrorCode
from thirdsentry_pipeline.domain.identifiers import parse_organization_id
from thirdsentry_pipeline.operations.credentials import PENDING, DataKey, unwrap_data_key
from thirdsentry_pipeline.operations.onboarding import require_organization
from thirdsentry_pipeline.warehouse import audit, connections, data_keys, sealed
from thirdsentry_pipeline.warehouse.organizations import lock_organization
from thirdsentry_pipeline.warehouse.scope import organization_scope

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy import Connection as DatabaseConnection

    from thirdsentry_pipeline.operations.services import Services

_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class KeyRotation:
    """What a rotation did; ``kms_key_id`` is the ARN of the KMS key that wraps the new key."""

    organization_id: str
    key_version: int
    kms_key_id: str
    connection_ids: tuple[UUID, ...]
    pending_rewrapped: bool


def rotate_data_key(services: Services, organization_id: str) -> KeyRotation:
    """Make the next version of the organization's data key and seal everything under it.

    The new key is wrapped by the KMS key of the settings; older versions are opened with the KMS
    key that wrapped them, so this also moves an organization to another KMS key.

    Raises:
        InputError: the organization is malformed or unknown.
        ConfigurationError: THIRDSENTRY_KMS_KEY_ID names no usable key.
        RunFailedError: ``key_unavailable``; nothing was changed.
    """
    organization_id = parse_organization_id(organization_id)
    require_organization(services, organization_id)
    for _ in range(_ATTEMPTS):
        with organization_scope(services.pipeline, organization_id) as database:
            wrapped_by = data_keys.wrapping_key_ids(database)
            # Versions that seal nothing any more stay shut: their KMS key may be gone.
            in_use = _versions_of(
                sealed.lock_live_blobs(database), connections.get_pending_external_id(database)
            )
        opened = {
            version: unwrap_data_key(
                services, organization_id, version, kms_key_id=wrapped_by[version]
            )
            for version in sorted(in_use)
        }
        version = max(wrapped_by, default=0) + 1
        wrapped, name = services.keys.generate_with_name(organization_id, version)
        plain = services.keys.unwrap(organization_id, version, wrapped)
        new = DataKey(organization_id, version, AESGCM(plain))
        with organization_scope(services.pipeline, organization_id) as database:
            lock_organization(database)
            blobs = sealed.lock_live_blobs(database)
            pending = connections.get_pending_external_id(database)
            used = _versions_of(blobs, pending)
            stored = used <= opened.keys() and data_keys.insert_data_key(
                database, version=version, kms_key_id=name, wrapped_key=wrapped
            )
            if not stored:
                continue
            _seal_again(database, opened, new, blobs, pending)
            audit.append(
                database,
                "credential_rewrapped",
                detail={
                    "key_version": version,
                    "previous_versions": sorted(used),
                    "kms_key_id": name,
                    "connection_ids": [str(one) for one in blobs],
                    "pending_rewrapped": pending is not None,
                },
            )
        return KeyRotation(organization_id, version, name, tuple(blobs), pending is not None)
    raise RunFailedError(
        ErrorCode.KEY_UNAVAILABLE,
        f"The data key of organization {organization_id} is being rotated by another process; "
        "try again.",
    )


def _versions_of(
    blobs: dict[UUID, tuple[bytes, int]], pending: tuple[bytes, int] | None
) -> set[int]:
    return {version for _, version in (*blobs.values(), *((pending,) if pending else ()))}


def _seal_again(
    database: DatabaseConnection,
    opened: dict[int, DataKey],
    new: DataKey,
    blobs: dict[UUID, tuple[bytes, int]],
    pending: tuple[bytes, int] | None,
) -> None:
    for connection_id, (blob, version) in blobs.items():
        again = new.seal(connection_id, opened[version].open(connection_id, blob))
        sealed.replace_blob(database, connection_id, again.blob, again.key_version)
    if pending is not None:
        blob, version = pending
        again = new.seal(PENDING, opened[version].open(PENDING, blob))
        sealed.replace_pending_blob(database, again.blob, again.key_version)
