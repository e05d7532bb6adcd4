"""STS: AssumeRole with the role's trust policy enforced, and GetCallerIdentity per session."""

from __future__ import annotations

import json
import re
import secrets
import string
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from thirdsentry_pipeline.local.sandbox_policies import permits, trust_policy_allows
from thirdsentry_pipeline.local.sandbox_request import (
    PLATFORM_ACCOUNT_ID,
    PLATFORM_PRINCIPAL_ARN,
    Caller,
)
from thirdsentry_pipeline.local.sandbox_state import RoleSession, now
from thirdsentry_pipeline.local.sandbox_wire import (
    AwsError,
    access_denied_code,
    query_response,
)

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

    from thirdsentry_pipeline.local.sandbox_request import AwsCall
    from thirdsentry_pipeline.local.sandbox_state import SandboxState

_MIN_DURATION = 900
_MAX_DURATION = 43_200
_DEFAULT_DURATION = 3600
_CHAINED_MAX_DURATION = 3600
_MAX_POLICY = 2048
_SESSION_NAME = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)
_EXTERNAL_ID = re.compile(r"[\w+=,.@:/-]{2,1224}", re.ASCII)
_ROLE_ARN = re.compile(r"arn:(aws|aws-us-gov|aws-cn):iam::(\d{12}):role/(.+)")
_KEY_ALPHABET = string.ascii_uppercase + string.digits
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


def assume_role(state: SandboxState, call: AwsCall) -> Response:
    """``sts:AssumeRole`` as AWS answers it."""
    form = call.form
    _check_parameters(form)
    role_arn = form["RoleArn"]
    match = _ROLE_ARN.fullmatch(role_arn)
    if match is None:
        msg = f"{role_arn} is invalid"
        raise AwsError(code="ValidationError", message=msg)
    partition, account_id, _ = match.groups()
    with state.lock:
        role = find_role(account_id, partition, role_arn)
        context = {
            "sts:RoleSessionName": form["RoleSessionName"],
            "aws:PrincipalArn": call.caller.arn,
            "aws:PrincipalAccount": call.caller.account_id,
        }
        if "ExternalId" in form:
            context["sts:ExternalId"] = form["ExternalId"]
        trusted = role is not None and trust_policy_allows(
            role.assume_role_policy_document, call.caller, "sts:AssumeRole", context
        )
        if not trusted or partition != call.partition:
            msg = (
                f"User: {call.caller.arn} is not authorized to perform: sts:AssumeRole "
                f"on resource: {role_arn}"
            )
            raise AwsError(code="AccessDenied", message=msg)
        duration = int(form.get("DurationSeconds", _DEFAULT_DURATION))
        longest = int(role.max_session_duration or _DEFAULT_DURATION)
        if call.caller.session:
            longest = min(longest, _CHAINED_MAX_DURATION)
        if duration > longest:
            msg = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
            raise AwsError(code="ValidationError", message=msg)
        session = RoleSession(
            access_key_id="ASIA" + "".join(secrets.choice(_KEY_ALPHABET) for _ in range(16)),
            account_id=account_id,
            partition=partition,
            role_arn=role_arn,
            role_id=role.id,
            session_name=form["RoleSessionName"],
            expires_at=now() + timedelta(seconds=duration),
            policy=form.get("Policy"),
            token=secrets.token_urlsafe(96),
            secret=secrets.token_urlsafe(30),
        )
        state.sessions[session.access_key_id] = session
    result = {
        "Credentials": {
            "AccessKeyId": session.access_key_id,
            "SecretAccessKey": session.secret,
            "SessionToken": session.token,
            "Expiration": session.expires_at,
        },
        "AssumedRoleUser": {
            "AssumedRoleId": f"{session.role_id}:{session.session_name}",
            "Arn": session.arn,
        },
        "PackedPolicySize": 6,
    }
    return query_response(call, result)


def _check_parameters(form: dict[str, str]) -> None:
    for name in ("RoleArn", "RoleSessionName"):
        if not form.get(name):
            _invalid(name, "null", "Member must not be null")
    if not _SESSION_NAME.fullmatch(form["RoleSessionName"]):
        pattern = r"[\w+=,.@-]*"
        text = f"Member must satisfy regular expression pattern: {pattern}"
        _invalid("roleSessionName", form["RoleSessionName"], text)
    if "ExternalId" in form and not _EXTERNAL_ID.fullmatch(form["ExternalId"]):
        pattern = r"[\w+=,.@:\/-]*"
        text = f"Member must satisfy regular expression pattern: {pattern}"
        _invalid("externalId", "(hidden)", text)
    duration = int(form.get("DurationSeconds", _DEFAULT_DURATION))
    if duration < _MIN_DURATION:
        text = f"Member must have value greater than or equal to {_MIN_DURATION}"
        _invalid("durationSeconds", str(duration), text)
    if duration > _MAX_DURATION:
        text = f"Member must have value less than or equal to {_MAX_DURATION}"
        _invalid("durationSeconds", str(duration), text)
    _check_policy(form.get("Policy"))


def _check_policy(policy: str | None) -> None:
    if policy is None:
        return
    if len(policy) > _MAX_POLICY:
        text = f"Member must have length less than or equal to {_MAX_POLICY}"
        _invalid("policy", "(long)", text)
    try:
        well_formed = "Statement" in json.loads(policy)
    except (ValueError, TypeError):
        well_formed = False
    if not well_formed:
        code = "MalformedPolicyDocument"
        raise AwsError(code, "This policy contains invalid Json or no statement")


def _invalid(name: str, value: str, constraint: str) -> None:
    msg = (
        f"1 validation error detected: Value '{value}' at '{name}' "
        f"failed to satisfy constraint: {constraint}"
    )
    raise AwsError(code="ValidationError", message=msg)


def get_caller_identity(state: SandboxState, call: AwsCall) -> Response:
    """``sts:GetCallerIdentity``; an account may be told to report another one's id."""
    override = state.account(call.account_id).identity_account_id
    result = {
        "Arn": call.caller.arn,
        "UserId": call.caller.user_id,
        "Account": override or call.account_id,
    }
    return query_response(call, result)
