"""Whose an account, a role and an external id are: asked before AWS, and again when storing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thirdsentry_pipeline.domain.errors import ThirdSentryError
from thirdsentry_pipeline.operations.credentials import digest
from thirdsentry_pipeline.warehouse import connections

if TYPE_CHECKING:
    from sqlalchemy import Connection as DatabaseConnection

    from thirdsentry_pipeline.domain.identifiers import RoleArn
    from thirdsentry_pipeline.operations.onboarding import PendingExternalId


def refuse_connected(database: DatabaseConnection, role: RoleArn) -> None:
    """Refuse an account that the organization reads already.

    Raises:
        ThirdSentryError: with the connection to reauthenticate.
    """
    for live in connections.list_connections(database, live_only=True):
        if live.account_id == role.account_id:
            message = (
                f"Account {role.account_id} is connected already, as {live.connection_id}; use "
                "`thirdsentry reauth` to change its role or external id."
            )
            raise ThirdSentryError(message)


def use_up_onboarded(
    database: DatabaseConnection,
    secret: str,
    onboarded: PendingExternalId | None,
    *,
    is_required: bool,
) -> None:
    """Take the onboarded id away once a connection has it, so that the next gets its own.

    With ``is_required`` it must still be there: two connects at once can't both have it.

    Raises:
        ThirdSentryError: it was required and is gone.
    """
    if onboarded is None or secret != onboarded.external_id:
        return
    if connections.pending_made_at(database) == onboarded.made_at:
        connections.clear_pending_external_id(database)
    elif is_required:
        message = (
            "Another `connect` used the onboarded external id meanwhile; run `thirdsentry onboard` "
            "for the next account's."
        )
        raise ThirdSentryError(message)


def refuse_foreign(database: DatabaseConnection, role: RoleArn, secret: str, *, keep: bool) -> None:
    """Refuse what another organization uses, without saying whose; ``keep`` claims it for good.

    Raises:
        ThirdSentryError: the role ARN or the external id is another organization's.
    """
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
