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
from thirdsentry_pipeline.domain.errors import InputError
from thirdsentry_pipeline.domain.evidence import EvidenceType, ReadStatus
from thirdsentry_pipeline.domain.identifiers import (
    RoleArn,
    parse_connection_id,
    parse_external_id,
    parse_organization_id,
)
from thirdsentry_pipeline.operations.credentials import (
    SealedCredential,
    open_external_id,
    storing_external_id,
)
from thirdsentry_pipeline.operations.onboarding import pending_external_id, require_organization
from thirdsentry_pipeline.operations.ownership import (
    refuse_connected,
    refuse_foreign,
    use_up_onboarded,
)
from thirdsentry_pipeline.warehouse import audit, connections
from thirdsentry_pipeline.warehouse.scope import organization_scope

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    if given is not None:
        secret = given
    elif onboarded is not None:
        secret = onboarded.external_id
    else:
        message = (
            "There is no external id to use; make one with `thirdsentry onboard` or give the "
            "customer's own by --external-id-stdin."
        )
        raise InputError(message)
    with organization_scope(services.pipeline, organization_id) as database:
        refuse_connected(database, role)
        refuse_foreign(database, role, secret, keep=False)
    reads = _prove(services, organization_id, role, secret)
    connection_id = uuid4()
    with storing_external_id(services, organization_id, connection_id, secret) as (
        database,
        sealed,
    ):
        refuse_connected(database, role)
        refuse_foreign(database, role, secret, keep=True)
        use_up_onboarded(database, secret, onboarded, is_required=given is None)
        connections.insert_connection(
            database,
            connection_id=connection_id,
            role_arn=str(role),
            account_id=role.account_id,
            credential_blob=sealed.blob,
            key_version=sealed.key_version,
        )
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
        refuse_foreign(database, role, secret, keep=False)
    onboarded = pending_external_id(services, organization_id) if given else None
    reads = _prove(services, organization_id, role, secret)
    with storing_external_id(services, organization_id, identity, secret) as (database, sealed):
        refuse_foreign(database, role, secret, keep=True)
        use_up_onboarded(database, secret, onboarded, is_required=False)
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


def revoke(services: Services, organization_id: str, connection_id: str) -> bool:
    """Forget the connection's external id and stop reading; its history stays.

    A run that reads it now will record nothing. Returns whether it was the organization's last
    live connection: then its Dagster partition is to go.

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
        return not connections.list_connections(database, live_only=True)


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


def _summary(reads: Mapping[EvidenceType, Reading]) -> dict[str, str]:
    return {str(kind): str(reading.read_status) for kind, reading in reads.items()}
