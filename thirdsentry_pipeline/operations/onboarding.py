"""Onboarding: what a customer needs in its AWS account before `connect` can work."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from thirdsentry_pipeline.domain import policy
from thirdsentry_pipeline.domain.errors import ConfigurationError, InputError
from thirdsentry_pipeline.domain.identifiers import parse_organization_id
from thirdsentry_pipeline.operations.credentials import (
    PENDING,
    SealedCredential,
    open_external_id,
    storing_external_id,
)
from thirdsentry_pipeline.warehouse import connections, organizations
from thirdsentry_pipeline.warehouse.scope import organization_scope

if TYPE_CHECKING:
    from datetime import datetime

    from thirdsentry_pipeline.operations.services import Services

_EXTERNAL_ID_BYTES = 32


@dataclass(frozen=True, slots=True)
class Onboarding:
    """The external id made for this organization's next connection, and the policies around it."""

    external_id: str = field(repr=False)
    principal_arn: str
    trust_policy: dict[str, Any] = field(repr=False)
    permission_policy: dict[str, Any]
    quick_create_url: str = field(repr=False)


def onboard(services: Services, organization_id: str) -> Onboarding:
    """Make (once per connection to come) the external id and what the customer pastes.

    Raises:
        InputError: the organization is malformed or unknown.
        ConfigurationError: ``THIRDSENTRY_PRINCIPAL_ARN`` is not set.
        RunFailedError: ``key_unavailable`` when KMS does not answer.
    """
    organization_id = parse_organization_id(organization_id)
    if services.principal_arn is None:
        message = (
            "Set THIRDSENTRY_PRINCIPAL_ARN to the principal that customers are to trust, such as "
            "arn:aws:iam::999999999999:role/thirdsentry."
        )
        raise ConfigurationError(message)
    require_organization(services, organization_id)
    pending = pending_external_id(services, organization_id)
    external_id = pending.external_id if pending else _make_pending(services, organization_id)
    return Onboarding(
        external_id=external_id,
        principal_arn=services.principal_arn,
        trust_policy=policy.trust_policy(services.principal_arn, external_id),
        permission_policy=policy.permission_policy(),
        quick_create_url=policy.quick_create_url(services.principal_arn, external_id),
    )


def require_organization(services: Services, organization_id: str) -> None:
    """Refuse an organization that the warehouse does not know.

    Raises:
        InputError: with the command that adds it.
    """
    with organization_scope(services.pipeline, organization_id) as connection:
        known = organizations.get_organization(connection)
    if known is None:
        message = (
            f"There is no organization {organization_id}; add it with `thirdsentry organization "
            f'add --id {organization_id} --name "…"`.'
        )
        raise InputError(message)


@dataclass(frozen=True, slots=True)
class PendingExternalId:
    """The external id that waits for its connection, and when it was made (UTC)."""

    external_id: str = field(repr=False)
    made_at: datetime


def pending_external_id(services: Services, organization_id: str) -> PendingExternalId | None:
    """The external id that waits for its connection, or ``None`` when none was made."""
    with organization_scope(services.pipeline, organization_id) as connection:
        # The age first: if the id changes in between, the two don't match and nothing is used up.
        made_at = connections.pending_made_at(connection)
        stored = connections.get_pending_external_id(connection)
    if stored is None or made_at is None:
        return None
    opened = open_external_id(services, organization_id, PENDING, SealedCredential(*stored))
    return PendingExternalId(opened, made_at)


def _make_pending(services: Services, organization_id: str) -> str:
    external_id = secrets.token_urlsafe(_EXTERNAL_ID_BYTES)
    with storing_external_id(services, organization_id, PENDING, external_id) as (database, sealed):
        connections.put_pending_external_id(database, sealed.blob, sealed.key_version)
    # A second onboarding at the same moment keeps the first one's id: read what stands.
    pending = pending_external_id(services, organization_id)
    return pending.external_id if pending else external_id
