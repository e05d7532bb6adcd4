"""Connecting an AWS account: refuse what is unsafe, read once for show, store.

Nothing is stored before the trust policy is proven: the role opens with the right external
id, and neither without one nor with a wrong one. AWS is called with no transaction open.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from thirdsentry_pipeline.aws.collect import collect_account
from thirdsentry_pipeline.aws.role_session import open_role_session, probe_trust
from thirdsentry_pipeline.domain.errors import InputError, ThirdSentryError
from thirdsentry_pipeline.domain.evidence import EvidenceType, ReadStatus
from thirdsentry_pipeline.domain.identifiers import (
    RoleArn,
    parse_connection_id,
    parse_external_id,
    parse_organization_id,
)
from thirdsentry_pipeline.operations.credentials import (
    SealedCredential,
    digest,
    open_external_id,
    seal_external_id,
)
from thirdsentry_pipeline.operations.onboarding import pending_external_id, require_organization
from thirdsentry_pipeline.warehouse import audit, connections
from thirdsentry_pipeline.warehouse.scope import organization_scope

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection as DatabaseConnection

    from thirdsentry_pipeline.domain.evidence import Reading
    from thirdsentry_pipeline.operations.services import Services
    from thirdsentry_pipeline.warehouse.connections import Connection


@dataclass(frozen=True, slots=True)
class ConnectResult:
    """A stored connection and what one dry read per type answered."""

    connection_id: UUID
    account_id: str
    status: str
    reads: Mapping[EvidenceType, Reading] = field(repr=False)

    @property
    def is_complete(self) -> bool:
        """Whether every type could be read."""
        return all(reading.read_status is ReadStatus.OK for reading in self.reads.values())


def connect(
    services: Services, organization_id: str, role_arn: str, external_id: str | None = None
) -> ConnectResult:
    """Prove, dry-read and store a connection; ``external_id`` defaults to the onboarded one.

    Raises:
        InputError: malformed or unknown input.
        UnsafeTrustPolicyError: the role opens without the right external id.
        RunFailedError: the role does not open, or opens into another account.
        ThirdSentryError: the role or external id belongs to another organization.
    """
    organization_id = parse_organization_id(organization_id)
    role = RoleArn.parse(role_arn)
    given = None if external_id is None else parse_external_id(external_id)
    require_organization(services, organization_id)
    onboarded = pending_external_id(services, organization_id)
    secret = given or onboarded
    if secret is None:
        message = (
            "There is no external id to use; make one with `thirdsentry onboard` or give the "
            "customer's own by --external-id-stdin."
        )
        raise InputError(message)
    with organization_scope(services.pipeline, organization_id) as database:
        _refuse_connected(database, role)
        _refuse_foreign(database, role, secret, keep=False)
    reads = _prove(services, organization_id, role, secret)
    connection_id = uuid4()
    sealed = seal_external_id(services, organization_id, connection_id, secret)
    with organization_scope(services.pipeline, organization_id) as database:
        _refuse_connected(database, role)
        _refuse_foreign(database, role, secret, keep=True)
        connections.insert_connection(
            database,
            connection_id=connection_id,
            role_arn=str(role),
            account_id=role.account_id,
            credential_blob=sealed.blob,
            key_version=sealed.key_version,
        )
        if secret == onboarded:
            connections.clear_pending_external_id(database)
        audit.append(
            database,
            "connect",
            connection_id=connection_id,
            detail={"account_id": role.account_id, "role_arn": str(role), "reads": _summary(reads)},
        )
    return ConnectResult(connection_id, role.account_id, "active", reads)


def reauth(
    services: Services,
    organization_id: str,
    connection_id: str,
    *,
    role_arn: str | None = None,
    external_id: str | None = None,
) -> ConnectResult:
    """Prove the connection again, with new values or the stored ones, and reactivate it.

    Raises:
        InputError: malformed input, an unknown or revoked connection, another account's role.
        UnsafeTrustPolicyError: the role opens without the right external id.
        RunFailedError: the role does not open, or opens into another account.
        ThirdSentryError: the role or external id belongs to another organization.
    """
    organization_id = parse_organization_id(organization_id)
    identity = parse_connection_id(connection_id)
    given = None if external_id is None else parse_external_id(external_id)
    require_organization(services, organization_id)
    stored = _live_connection(services, organization_id, identity)
    role = RoleArn.parse(role_arn or stored.role_arn)
    if role.account_id != stored.account_id:
        message = (
            f"Connection {identity} reads account {stored.account_id}, not {role.account_id}; "
            "connect the other account with `thirdsentry connect`."
        )
        raise InputError(message)
    secret = given or stored_external_id(services, organization_id, identity)
    with organization_scope(services.pipeline, organization_id) as database:
        _refuse_foreign(database, role, secret, keep=False)
    reads = _prove(services, organization_id, role, secret)
    sealed = seal_external_id(services, organization_id, identity, secret)
    with organization_scope(services.pipeline, organization_id) as database:
        _refuse_foreign(database, role, secret, keep=True)
        connections.reactivate(
            database,
            identity,
            role_arn=str(role),
            credential_blob=sealed.blob,
            key_version=sealed.key_version,
        )
        audit.append(
            database,
            "reauth",
            connection_id=identity,
            detail={"role_arn": str(role), "reads": _summary(reads)},
        )
    return ConnectResult(identity, role.account_id, "active", reads)


def revoke(services: Services, organization_id: str, connection_id: str) -> None:
    """Forget the connection's external id and stop reading; its history stays.

    Raises:
        InputError: malformed input, an unknown or already revoked connection.
    """
    organization_id = parse_organization_id(organization_id)
    identity = parse_connection_id(connection_id)
    require_organization(services, organization_id)
    stored = _live_connection(services, organization_id, identity)
    with organization_scope(services.pipeline, organization_id) as database:
        connections.revoke_connection(database, identity)
        audit.append(
            database,
            "revoke",
            connection_id=identity,
            detail={"account_id": stored.account_id},
        )


def stored_external_id(services: Services, organization_id: str, connection_id: UUID) -> str:
    """Open the external id of a live connection; the caller keeps it to one operation.

    Raises:
        RunFailedError: ``key_unavailable`` when it does not open.
    """
    with organization_scope(services.pipeline, organization_id) as database:
        stored = connections.credential_blob(database, connection_id)
    return open_external_id(services, organization_id, connection_id, SealedCredential(*stored))


def _prove(
    services: Services, organization_id: str, role: RoleArn, secret: str
) -> dict[EvidenceType, Reading]:
    types = tuple(EvidenceType)
    probe_trust(services.platform, role, secret, organization_id=organization_id, run_id=uuid4())
    with open_role_session(
        services.platform, role, secret, organization_id, uuid4(), types=types, clock=services.clock
    ) as session:
        return dict(collect_account(session, types).readings)


def _live_connection(services: Services, organization_id: str, identity: UUID) -> Connection:
    with organization_scope(services.pipeline, organization_id) as database:
        stored = connections.get_connection(database, identity)
    if stored is None:
        message = f"Organization {organization_id} has no connection {identity}."
        raise InputError(message)
    if stored.deleted_at is not None:
        message = f"Connection {identity} was revoked; connect the account again."
        raise InputError(message)
    return stored


def _refuse_connected(database: DatabaseConnection, role: RoleArn) -> None:
    for live in connections.list_connections(database, live_only=True):
        if live.account_id == role.account_id:
            message = (
                f"Account {role.account_id} is connected already, as {live.connection_id}; use "
                "`thirdsentry reauth` to change its role or external id."
            )
            raise ThirdSentryError(message)


def _refuse_foreign(
    database: DatabaseConnection, role: RoleArn, secret: str, *, keep: bool
) -> None:
    """Refuse what another organization uses, without saying whose; ``keep`` claims it for good."""
    attempt = database.begin_nested()
    refused = None
    if not connections.claim(database, "role_arn", digest(str(role))):
        refused = "role ARN"
    elif not connections.claim(database, "external_id", digest(secret)):
        refused = "external id"
    if keep and refused is None:
        attempt.commit()
    else:
        attempt.rollback()
    if refused is not None:
        message = f"Another organization uses this {refused}; choose another one."
        raise ThirdSentryError(message)


def _summary(reads: Mapping[EvidenceType, Reading]) -> dict[str, str]:
    return {str(kind): str(reading.read_status) for kind, reading in reads.items()}
