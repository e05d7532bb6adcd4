"""The sandbox's WSGI application: our own answers in front, moto behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from werkzeug.wrappers import Response

from thirdsentry_pipeline.local import (
    sandbox_callers,
    sandbox_guardduty,
    sandbox_iam,
    sandbox_services,
    sandbox_sts,
)
from thirdsentry_pipeline.local.sandbox_faults import Fault, reset_connection, take_faults
from thirdsentry_pipeline.local.sandbox_request import AwsCall, parse_call
from thirdsentry_pipeline.local.sandbox_state import SandboxState, now, partition_of
from thirdsentry_pipeline.local.sandbox_wire import AwsError, error_response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from thirdsentry_pipeline.local.sandbox_admin import AdminApi
    from thirdsentry_pipeline.local.sandbox_journal import RoleJournal

    Handler = Callable[[SandboxState, AwsCall], Response | None]

_HANDLERS: dict[str, Handler] = {
    "sts:AssumeRole": sandbox_sts.assume_role,
    "sts:GetCallerIdentity": sandbox_sts.get_caller_identity,
    "iam:GetAccountSummary": sandbox_iam.get_account_summary,
    "iam:GenerateCredentialReport": sandbox_iam.generate_credential_report,
    "iam:GetCredentialReport": sandbox_iam.get_credential_report,
    "iam:ListUsers": sandbox_iam.list_users,
    "iam:ListVirtualMFADevices": sandbox_iam.list_virtual_mfa_devices,
    "iam:AttachRolePolicy": sandbox_iam.attach_role_policy,
    "ec2:DescribeRegions": sandbox_services.describe_regions,
    "cloudtrail:DescribeTrails": sandbox_services.describe_trails,
    "cloudtrail:GetTrailStatus": sandbox_services.get_trail_status,
    "cloudtrail:GetEventSelectors": sandbox_services.get_event_selectors,
    "guardduty:CreateDetector": sandbox_guardduty.create_detector,
    "guardduty:ListDetectors": sandbox_guardduty.list_detectors,
    "guardduty:GetAdministratorAccount": sandbox_guardduty.get_administrator_account,
    "guardduty:ListFindings": sandbox_guardduty.list_findings,
    "guardduty:GetFindings": sandbox_guardduty.get_findings,
    "guardduty:CreateSampleFindings": sandbox_guardduty.create_sample_findings,
    "guardduty:ArchiveFindings": sandbox_guardduty.archive_findings,
    "guardduty:UnarchiveFindings": sandbox_guardduty.archive_findings,
    "kms:Encrypt": sandbox_services.check_kms_key_is_usable,
    "kms:Decrypt": sandbox_services.check_kms_key_is_usable,
    "kms:GenerateDataKey": sandbox_services.check_kms_key_is_usable,
    "kms:GenerateDataKeyWithoutPlaintext": sandbox_services.check_kms_key_is_usable,
}
"""Answers by service and operation; one that gives ``None`` leaves the answer to moto."""

_LONGEST_HANG_SECONDS = 3600.0
_FIRST_ERROR_STATUS = 300


class SandboxApplication:
    """Parses, records, breaks, authorizes and answers one request after the other."""

    def __init__(
        self, state: SandboxState, moto: Any, admin: AdminApi, journal: RoleJournal
    ) -> None:
        self._state = state
        self._moto = moto
        self._admin = admin
        self._journal = journal

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """WSGI entry."""
        if environ.get("PATH_INFO", "").startswith("/_sandbox"):
            return self._admin.respond(environ)(environ, start_response)
        call = parse_call(environ)
        record: dict[str, Any] = {
            "at": now().isoformat(),
            "service": call.service,
            "operation": call.operation,
            "action": call.action,
            "region": call.region,
            "access_key_id": call.access_key_id,
        }
        self._state.calls.append(record)
        response = self._answer(call, record)
        record["status"] = response.status_code
        return response(environ, start_response)

    def _answer(self, call: AwsCall, record: dict[str, Any]) -> Response:
        try:
            call.caller = sandbox_callers.resolve_caller(self._state, call)
            session = call.caller.session
            record["account_id"] = call.target_account_id
            record["principal"] = call.caller.arn
            record["role_arn"] = session.role_arn if session else None
            _check_region(self._state, call)
            damage = self._apply_faults(call)
            sandbox_callers.authorize(self._state, call)
            response = self._handle(call)
        except AwsError as error:
            record["error_code"] = error.code
            return error_response(call, error.code, error.message, error.status)
        return _damaged(response, damage)

    def _apply_faults(self, call: AwsCall) -> str | None:
        """Let the call suffer its faults; gives the damage to do to the answer's body."""
        for fault in take_faults(self._state, call):
            if fault.effect in {"truncate", "malformed"}:
                return fault.effect
            self._suffer(call, fault)
        return None

    def _suffer(self, call: AwsCall, fault: Fault) -> None:
        if fault.effect == "latency":
            self._state.released.wait(fault.seconds)
        elif fault.effect == "hang":
            self._state.released.wait(fault.seconds or _LONGEST_HANG_SECONDS)
            reset_connection(call.environ)
        elif fault.effect == "reset":
            reset_connection(call.environ)
        elif fault.effect == "expire_session" and call.caller.session:
            call.caller.session.expires_at = now()
            raise sandbox_callers.expired_token(call)
        else:
            message = fault.message or _message(call, fault.error_code)
            raise AwsError(fault.error_code, message, fault.http_status)

    def _handle(self, call: AwsCall) -> Response:
        handler = _HANDLERS.get(f"{call.service}:{call.operation}")
        with self._state.lock:
            response = handler(self._state, call) if handler else None
            if response is not None:
                return response
            # moto would otherwise search the account of every access key it knows.
            call.environ["HTTP_X_MOTO_ACCOUNT_ID"] = call.account_id
            response = Response.from_app(self._moto, call.environ)
            if response.status_code < _FIRST_ERROR_STATUS:
                self._journal.keep(call)
            return response


def _message(call: AwsCall, code: str) -> str:
    if "Denied" in code or "Unauthorized" in code:
        return f"User: {call.caller.arn} is not authorized to perform: {call.action}"
    if "Thrott" in code or "LimitExceeded" in code or "TooMany" in code:
        return "Rate exceeded"
    return f"An error was injected: {code}"


def _check_region(state: SandboxState, call: AwsCall) -> None:
    """An account's session does not work in a region the account has not enabled."""
    session = call.caller.session
    if session is None or call.service in {"iam", "s3", "s3control"}:
        return
    region, account = call.region, state.account(session.account_id)
    if partition_of(region) == session.partition and region in account.regions(session.partition):
        return
    if call.service == "ec2":
        msg = "AWS was not able to validate the provided access credentials"
        raise AwsError(code="AuthFailure", message=msg)
    msg = "The AWS Access Key Id needs a subscription for the service"
    raise AwsError(code=account.disabled_region_error, message=msg, status=403)


def _damaged(response: Response, damage: str | None) -> Response:
    if damage is None:
        return response
    body = response.get_data()
    if damage == "malformed":
        response.set_data(b"<!-- \x00 {" + body[: len(body) // 2])
        return response
    length = len(body)
    response.set_data(body[: length // 2])
    response.headers["Content-Length"] = str(max(length, 1))
    return response
