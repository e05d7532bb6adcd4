"""STS: AssumeRole with the role's trust policy enforced, and GetCallerIdentity per session."""

from __future__ import annotations

import json
import re
import secrets
import string
from datetime import timedelta
from typing import TYPE_CHECKING

from thirdsentry_pipeline.local.sandbox_callers import find_role
from thirdsentry_pipeline.local.sandbox_policies import trust_policy_allows
from thirdsentry_pipeline.local.sandbox_state import RoleSession, now
from thirdsentry_pipeline.local.sandbox_wire import AwsError, query_response

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
