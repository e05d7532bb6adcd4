"""Who signed a request, and what an assumed session may do."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from thirdsentry_pipeline.local.sandbox_policies import permits
from thirdsentry_pipeline.local.sandbox_request import (
    PLATFORM_ACCOUNT_ID,
    PLATFORM_PRINCIPAL_ARN,
    Caller,
)
from thirdsentry_pipeline.local.sandbox_state import now
from thirdsentry_pipeline.local.sandbox_wire import AwsError, access_denied_code

if TYPE_CHECKING:
    from thirdsentry_pipeline.local.sandbox_request import AwsCall
    from thirdsentry_pipeline.local.sandbox_state import RoleSession, SandboxState

_NO_PERMISSION_NEEDED = frozenset({"sts:GetCallerIdentity"})
_INVALID_TOKEN = {
    "iam": "InvalidClientTokenId",
    "sts": "InvalidClientTokenId",
    "sns": "InvalidClientTokenId",
    "ec2": "AuthFailure",
    "s3": "InvalidAccessKeyId",
    "s3control": "InvalidAccessKeyId",
}
_EXPIRED_TOKEN = {
    "iam": "ExpiredToken",
    "sts": "ExpiredToken",
    "sns": "ExpiredToken",
    "ec2": "RequestExpired",
    "s3": "ExpiredToken",
    "s3control": "ExpiredToken",
}


def resolve_caller(state: SandboxState, call: AwsCall) -> Caller:
    """Who signed the request.

    A session key is its assumed role. ``x-moto-account-id`` makes any other key that account's
    root: that is how accounts are seeded. A key made by ``iam:CreateAccessKey`` is its user.
    Every other key is the vendor's own principal.

    Raises:
        AwsError: the session is unknown or has expired.
    """
    key = call.access_key_id
    if key.startswith("ASIA"):
        return _session_caller(state, call)
    account_id = call.environ.get("HTTP_X_MOTO_ACCOUNT_ID")
    if account_id:
        root_arn = f"arn:{call.partition}:iam::{account_id}:root"
        return Caller(account_id, root_arn, account_id, seeding=True)
    user = _user_of(state, key) if key.startswith("AKIA") else None
    return user or Caller(PLATFORM_ACCOUNT_ID, PLATFORM_PRINCIPAL_ARN)


def _session_caller(state: SandboxState, call: AwsCall) -> Caller:
    session = state.sessions.get(call.access_key_id)
    token = call.environ.get("HTTP_X_AMZ_SECURITY_TOKEN", "")
    if session is None or not secrets.compare_digest(session.token, token):
        code = _INVALID_TOKEN.get(call.service, "UnrecognizedClientException")
        raise AwsError(code, "The security token included in the request is invalid.", 403)
    if session.expires_at <= now():
        raise expired_token(call)
    user_id = f"{session.role_id}:{session.session_name}"
    return Caller(session.account_id, session.arn, user_id, session)


def expired_token(call: AwsCall) -> AwsError:
    """What the service answers to a session that is over."""
    code = _EXPIRED_TOKEN.get(call.service, "ExpiredTokenException")
    return AwsError(code, "The security token included in the request is expired")


def _user_of(state: SandboxState, key: str) -> Caller | None:
    from moto.iam.models import iam_backends  # noqa: PLC0415 - moto is heavy, loaded when serving

    with state.lock:
        for partitions in list(iam_backends.values()):
            for backend in list(partitions.values()):
                if key in backend.access_keys:
                    user = backend.get_user(str(backend.access_keys[key].user_name))
                    return Caller(user.account_id, user.arn, user.id)
    return None


def authorize(state: SandboxState, call: AwsCall) -> None:
    """Hold an assumed session to its session policy and its role's policies.

    A role without any policy is not restricted: at AWS it could do nothing, but then no
    script that seeds only a trust policy would get anywhere.

    Raises:
        AwsError: the action is not allowed.
    """
    session = call.caller.session
    action = call.action
    if session is None or action in _NO_PERMISSION_NEEDED:
        return
    missing = None
    if session.policy is not None and not permits([session.policy], action):
        missing = "no session policy"
    else:
        documents = _role_documents(state, session)
        if documents and not permits(documents, action):
            missing = "no identity-based policy"
    if missing:
        message = (
            f"User: {session.arn} is not authorized to perform: {action} "
            f"because {missing} allows the {action} action"
        )
        raise AwsError(access_denied_code(call.service), message)


def _role_documents(state: SandboxState, session: RoleSession) -> list[str]:
    with state.lock:
        role = find_role(session.account_id, session.partition, session.role_arn)
        if role is None:
            return []
        attached = [
            str(version.document)
            for policy in role.managed_policies.values()
            for version in policy.versions
            if version.version_id == policy.default_version_id
        ]
        return [*role.policies.values(), *attached]


def find_role(account_id: str, partition: str, role_arn: str) -> Any:
    """The role moto has under this ARN, or ``None``."""
    from moto.iam.models import iam_backends  # noqa: PLC0415 - moto is heavy, loaded when serving

    roles = iam_backends[account_id][partition].roles.values()
    return next((role for role in roles if role.arn == role_arn), None)
