"""Opening a customer's role: with its external id, least privilege and proof of the account."""

from __future__ import annotations

import re
import secrets
import time
from typing import TYPE_CHECKING, Any

from thirdsentry_pipeline.aws import shapes
from thirdsentry_pipeline.aws.account_session import AccountSession
from thirdsentry_pipeline.aws.errors import (
    RegionDisabled,
    classify,
)
from thirdsentry_pipeline.aws.reading import describe
from thirdsentry_pipeline.aws.sessions import (
    CREDENTIAL_ERRORS,
    SessionCredentials,
    credentials_missing,
)
from thirdsentry_pipeline.domain.errors import RunFailedError, UnsafeTrustPolicyError
from thirdsentry_pipeline.domain.evidence import ErrorCode, EvidenceType
from thirdsentry_pipeline.domain.policy import session_policy
from thirdsentry_pipeline.domain.time import utc_now

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from uuid import UUID

    from thirdsentry_pipeline.aws.sessions import PlatformAws
    from thirdsentry_pipeline.aws.transport import Transport
    from thirdsentry_pipeline.domain.identifiers import RoleArn
    from thirdsentry_pipeline.domain.time import Clock

SESSION_SECONDS = 900
_RETRY_PAUSES = (1.0, 2.0, 3.0, 3.0)
_RETRY_WINDOW_SECONDS = 10.0
_SESSION_NAME_LENGTH = 64
_NOT_IN_SESSION_NAMES = re.compile(r"[^\w+=,.@-]", re.ASCII)
_ALL_TYPES = tuple(EvidenceType)


def open_role_session(
    platform: PlatformAws,
    role: RoleArn,
    external_id: str,
    organization_id: str,
    run_id: UUID,
    *,
    types: Sequence[EvidenceType] = _ALL_TYPES,
    transport: Transport | None = None,
    sleep: Callable[[float], None] = time.sleep,
    clock: Clock = utc_now,
) -> AccountSession:
    """Assume the role for 900 s, with no more rights than ``types`` need.

    AccessDenied is tried again at most 4 times within 10 s, because a new role takes seconds
    to appear everywhere. ``transport`` is what the session sends with, STS included, and its
    own; without, it gets a new one.

    Raises:
        RunFailedError: ``assume_role_denied`` (permanent), ``account_mismatch`` when the
            credentials are of another account, or the class of any other failure.
    """
    door = _Door(platform, role, organization_id, run_id, types, transport=transport)
    started = clock()
    for pause in (*_RETRY_PAUSES, None):
        try:
            session = door.open(external_id)
            break
        except _DeniedError as error:
            spent = (clock() - started).total_seconds()
            if pause is None or spent + pause > _RETRY_WINDOW_SECONDS:
                raise _denied(role) from error
            sleep(pause)
    try:
        _check_account(session, role)
    except BaseException:
        session.close()
        raise
    return session


def probe_trust(
    platform: PlatformAws,
    role: RoleArn,
    external_id: str,
    organization_id: str,
    run_id: UUID,
    *,
    types: Sequence[EvidenceType] = _ALL_TYPES,
    sleep: Callable[[float], None] = time.sleep,
    clock: Clock = utc_now,
) -> None:
    """Prove the trust policy: the right external id opens the role, none and a wrong one don't.

    Raises:
        UnsafeTrustPolicyError: the role opens without the right external id.
        RunFailedError: the role does not open with it, or a probe failed for another reason.
    """
    open_role_session(
        platform, role, external_id, organization_id, run_id, types=types, sleep=sleep, clock=clock
    ).close()
    door = _Door(platform, role, organization_id, run_id, types)
    for wrong, how in ((None, "without an external id"), (_other_id(), "with a wrong external id")):
        try:
            door.open(wrong).close()
        except _DeniedError:
            continue
        message = (
            f"The role {role} opens {how}, so anyone who can reach us could have it read: add the "
            "condition StringEquals sts:ExternalId to its trust policy."
        )
        raise UnsafeTrustPolicyError(message)


def session_name(organization_id: str, run_id: UUID) -> str:
    """What the customer's CloudTrail shows, in the characters and length STS allows."""
    name = f"thirdsentry-{organization_id}-{run_id}"
    return _NOT_IN_SESSION_NAMES.sub("-", name)[:_SESSION_NAME_LENGTH]


class _DeniedError(Exception):
    """STS said AccessDenied."""


class _Door:
    """One role and the request that opens it, whatever the external id."""

    def __init__(
        self,
        platform: PlatformAws,
        role: RoleArn,
        organization_id: str,
        run_id: UUID,
        types: Sequence[EvidenceType],
        *,
        transport: Transport | None = None,
    ) -> None:
        self._platform = platform
        self._role = role
        self._transport = transport or platform.new_transport()
        self._request = {
            "RoleArn": str(role),
            "RoleSessionName": session_name(organization_id, run_id),
            "DurationSeconds": SESSION_SECONDS,
            "Policy": session_policy(tuple(types)),
        }

    def open(self, external_id: str | None) -> AccountSession:
        given = {} if external_id is None else {"ExternalId": external_id}
        sts = self._platform.client("sts", self._role.default_region, transport=self._transport)
        try:
            credentials = _parse_credentials(sts.assume_role(**self._request, **given))
        except CREDENTIAL_ERRORS:
            raise credentials_missing() from None
        except Exception as error:  # noqa: BLE001 - every failure is told by its class
            if _plain(classify(error)).is_denial:
                raise _DeniedError from None
            raise _failed(error, f"The role {self._role} could not be opened") from None
        return AccountSession(self._platform, self._role, credentials, self._transport)


def _parse_credentials(answer: Any) -> SessionCredentials:
    credentials = shapes.record(answer, "Credentials")
    return SessionCredentials(
        shapes.text(credentials, "AccessKeyId"),
        shapes.text(credentials, "SecretAccessKey"),
        shapes.text(credentials, "SessionToken"),
    )


def _check_account(session: AccountSession, role: RoleArn) -> None:
    client = session.client("sts", role.default_region)
    try:
        account_id = shapes.account_id(client.get_caller_identity(), "Account")
    except Exception as error:  # noqa: BLE001 - every failure is told by its class
        what = f"The account behind the role {role} could not be confirmed"
        raise _failed(error, what) from None
    if account_id != role.account_id:
        message = (
            f"The role {role} opened a session in account {account_id}, not in "
            f"{role.account_id}; nothing was read."
        )
        raise RunFailedError(ErrorCode.ACCOUNT_MISMATCH, message)


def _plain(code: ErrorCode | RegionDisabled) -> ErrorCode:
    """STS has no region to leave out: a disabled endpoint is a failure like any other."""
    return ErrorCode.TRANSIENT if isinstance(code, RegionDisabled) else code


def _failed(error: Exception, what: str) -> RunFailedError:
    code = _plain(classify(error))
    return RunFailedError(code, f"{what} ({code}: {describe(error)}); the next run tries again.")


def _denied(role: RoleArn) -> RunFailedError:
    message = (
        f"AWS refused to open the role {role}: it was deleted, its trust policy no longer names "
        "our principal, or the external id differs; AWS answers all three alike. Check them in "
        "the AWS account, then run `thirdsentry reauth`."
    )
    return RunFailedError(ErrorCode.ASSUME_ROLE_DENIED, message)


def _other_id() -> str:
    return secrets.token_urlsafe(32)
