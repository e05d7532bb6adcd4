"""Opening a customer's role: with its external id, least privilege and proof of the account."""

from __future__ import annotations

import re
import secrets
import threading
import time
from typing import TYPE_CHECKING, Any, Self

from botocore.exceptions import BotoCoreError, ClientError

from thirdsentry_pipeline.aws import shapes
from thirdsentry_pipeline.aws.errors import (
    DeadlinePassedError,
    MalformedAnswerError,
    RegionDisabled,
    classify,
)
from thirdsentry_pipeline.aws.sessions import SessionCredentials
from thirdsentry_pipeline.domain.errors import RunFailedError, UnsafeTrustPolicyError
from thirdsentry_pipeline.domain.evidence import ErrorCode, EvidenceType
from thirdsentry_pipeline.domain.policy import session_policy
from thirdsentry_pipeline.domain.time import utc_now

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from uuid import UUID

    from thirdsentry_pipeline.aws.sessions import PlatformAws
    from thirdsentry_pipeline.aws.transport import CallCounter, Transport
    from thirdsentry_pipeline.domain.identifiers import RoleArn
    from thirdsentry_pipeline.domain.time import Clock

SESSION_SECONDS = 900
_RETRY_PAUSES = (1.0, 2.0, 3.0, 3.0)
_RETRY_WINDOW_SECONDS = 10.0
_SESSION_NAME_LENGTH = 64
_NOT_IN_SESSION_NAMES = re.compile(r"[^\w+=,.@-]", re.ASCII)
_ALL_TYPES = tuple(EvidenceType)


class AccountSession:
    """An open role in one account; ``client`` gives clients that can act as nothing else.

    Closing it drops the credentials, the clients and their connections for good.
    """

    def __init__(
        self,
        platform: PlatformAws,
        role: RoleArn,
        credentials: SessionCredentials,
        transport: Transport,
    ) -> None:
        self.account_id = role.account_id
        self.partition = role.partition
        self.default_region = role.default_region
        self._platform = platform
        self._credentials: SessionCredentials | None = credentials
        self._transport = transport
        self._lock = threading.Lock()
        self._clients: dict[tuple[str, str], Any] = {}

    @property
    def calls(self) -> CallCounter:
        """The requests sent for this session, AssumeRole included."""
        return self._transport.calls

    @property
    def regions_of_partition(self) -> tuple[str, ...]:
        """Every region of the role's partition that botocore's own data knows."""
        return self._platform.regions_of(self.partition)

    def stop_after(self, seconds: float) -> None:
        """Refuse requests from so many seconds on."""
        self._transport.stop_after(seconds)

    def client(self, service: str, region: str) -> Any:
        """The session's client for a service in a region, made once.

        Raises:
            DeadlinePassedError: the session is closed.
        """
        with self._lock:
            if self._credentials is None:
                message = "the session is closed"
                raise DeadlinePassedError(message)
            if (service, region) not in self._clients:
                self._clients[service, region] = self._platform.client(
                    service, region, self._credentials, transport=self._transport
                )
            return self._clients[service, region]

    def close(self) -> None:
        """Forget the credentials and close every connection."""
        with self._lock:
            self._credentials = None
            self._clients.clear()
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"AccountSession(account_id={self.account_id!r})"


def open_role_session(
    platform: PlatformAws,
    role: RoleArn,
    external_id: str,
    organization_id: str,
    run_id: UUID,
    *,
    types: Sequence[EvidenceType] = _ALL_TYPES,
    sleep: Callable[[float], None] = time.sleep,
    clock: Clock = utc_now,
) -> AccountSession:
    """Assume the role for 900 s, with no more rights than ``types`` need.

    AccessDenied is tried again at most 4 times within 10 s, because a new role takes seconds
    to appear everywhere.

    Raises:
        RunFailedError: ``assume_role_denied`` (permanent), ``account_mismatch`` when the
            credentials are of another account, or the class of any other failure.
    """
    door = _Door(platform, role, organization_id, run_id, types)
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
    ) -> None:
        self._platform = platform
        self._role = role
        self._transport = platform.new_transport()
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
        except (ClientError, BotoCoreError, MalformedAnswerError, DeadlinePassedError) as error:
            code = _plain(classify(error))
            if code.is_denial:
                raise _DeniedError from None
            raise _failed(code, f"The role {self._role} could not be opened") from error
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
    except (ClientError, BotoCoreError, MalformedAnswerError, DeadlinePassedError) as error:
        what = f"The account behind the role {role} could not be confirmed"
        raise _failed(_plain(classify(error)), what) from error
    if account_id != role.account_id:
        message = (
            f"The role {role} opened a session in account {account_id}, not in "
            f"{role.account_id}; nothing was read."
        )
        raise RunFailedError(ErrorCode.ACCOUNT_MISMATCH, message)


def _plain(code: ErrorCode | RegionDisabled) -> ErrorCode:
    """STS has no region to leave out: a disabled endpoint is a failure like any other."""
    return ErrorCode.TRANSIENT if isinstance(code, RegionDisabled) else code


def _failed(code: ErrorCode, what: str) -> RunFailedError:
    return RunFailedError(code, f"{what} ({code}); the next run tries again.")


def _denied(role: RoleArn) -> RunFailedError:
    message = (
        f"AWS refused to open the role {role}: it was deleted, its trust policy no longer names "
        "our principal, or the external id differs; AWS answers all three alike. Check them in "
        "the AWS account, then run `thirdsentry reauth`."
    )
    return RunFailedError(ErrorCode.ASSUME_ROLE_DENIED, message)


def _other_id() -> str:
    return secrets.token_urlsafe(32)
