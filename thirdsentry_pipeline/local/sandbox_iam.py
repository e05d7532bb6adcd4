"""IAM where moto differs from AWS: root state, credential report, paging, managed policies."""

from __future__ import annotations

import base64
import csv
import io
import json
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from thirdsentry_pipeline.local.sandbox_state import iso, now
from thirdsentry_pipeline.local.sandbox_wire import AwsError, Entries, query_response

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

    from thirdsentry_pipeline.local.sandbox_request import AwsCall
    from thirdsentry_pipeline.local.sandbox_state import Account, SandboxState

_DEFAULT_PAGE = 100
_REPORT_LIFETIME = timedelta(hours=4)
_ROOT_CREATED = "2025-06-01T08:00:00+00:00"
_ROOT_DEVICE_ENABLED = "2025-06-01T08:05:00Z"
_KEYS = ("access_key_1", "access_key_2")
_KEY_FIELDS = ("active", "last_rotated", "last_used_date", "last_used_region", "last_used_service")
REPORT_COLUMNS = (
    "user",
    "arn",
    "user_creation_time",
    "password_enabled",
    "password_last_used",
    "password_last_changed",
    "password_next_rotation",
    "mfa_active",
    *(f"{key}_{name}" for key in _KEYS for name in _KEY_FIELDS),
    "cert_1_active",
    "cert_1_last_rotated",
    "cert_2_active",
    "cert_2_last_rotated",
)
_MANAGED_POLICIES = ("SecurityAudit", "ReadOnlyAccess", "AdministratorAccess", "ViewOnlyAccess")


def _backend(call: AwsCall) -> Any:
    from moto.iam.models import iam_backends  # noqa: PLC0415 - moto is heavy, loaded when serving

    return iam_backends[call.account_id][call.partition]


def _root_arn(call: AwsCall) -> str:
    return f"arn:{call.partition}:iam::{call.account_id}:root"


def get_account_summary(state: SandboxState, call: AwsCall) -> Response:
    """The counts moto has, with the account's root state."""
    root = state.account(call.account_id).root
    summary = {
        **_backend(call).get_account_summary().summary_map,
        "AccountMFAEnabled": int(root.mfa_enabled),
        "AccountPasswordPresent": int(root.password_present),
        "AccountAccessKeysPresent": int(root.access_keys > 0),
    }
    return query_response(call, {"SummaryMap": Entries.of(summary)})


def generate_credential_report(state: SandboxState, call: AwsCall) -> Response:
    """``STARTED``, ``INPROGRESS`` as often as set, then ``COMPLETE`` with the users of now.

    AWS would keep a finished report for four hours; here every ``COMPLETE`` is fresh, so that
    a change shows at once. ``age_seconds`` plays an old report.
    """
    report = state.account(call.account_id).report
    if report.polled < report.polls:
        report.polled += 1
        first = not report.started
        report.started = True
        result = {"State": "STARTED" if first else "INPROGRESS"}
        if first:
            result["Description"] = "No report exists. Starting a new report generation task"
        return query_response(call, result)
    report.started = True
    report.generated_at = now() - timedelta(seconds=report.age_seconds)
    report.content = _report_csv(state.account(call.account_id), call)
    return query_response(call, {"State": "COMPLETE"})


def get_credential_report(state: SandboxState, call: AwsCall) -> Response:
    """The finished report, or AWS's word for why there is none."""
    report = state.account(call.account_id).report
    if report.generated_at is None:
        code = "ReportInProgress" if report.started else "ReportNotPresent"
        raise AwsError(code, "Credential report is not present or still in progress")
    if now() - report.generated_at > _REPORT_LIFETIME:
        code = "ReportExpired"
        raise AwsError(code, "The most recent credential report has expired")
    result = {
        "Content": base64.b64encode(report.content).decode(),
        "ReportFormat": "text/csv",
        "GeneratedTime": report.generated_at,
    }
    return query_response(call, result)


def _report_csv(account: Account, call: AwsCall) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, REPORT_COLUMNS, restval="N/A", lineterminator="\n")
    writer.writeheader()
    writer.writerow(_root_row(account, call))
    for user in sorted(_backend(call).users.values(), key=lambda user: str(user.name)):
        writer.writerow(_user_row(user))
    return text.getvalue().rstrip("\n").encode()


def _root_row(account: Account, call: AwsCall) -> dict[str, str]:
    root = account.root
    word = "not_supported" if root.password_present else "false"
    return {
        "user": "<root_account>",
        "arn": _root_arn(call),
        "user_creation_time": _ROOT_CREATED,
        "password_enabled": root.report_password_enabled or word,
        "password_last_used": "no_information",
        "password_last_changed": "not_supported",
        "password_next_rotation": "not_supported",
        "mfa_active": _word(root.mfa_enabled),
        "access_key_1_active": _word(root.access_keys > 0),
        "access_key_2_active": _word(root.access_keys > 1),
        "cert_1_active": "false",
        "cert_2_active": "false",
    }


def _user_row(user: Any) -> dict[str, str]:
    has_password = bool(user.password)
    row = {
        "user": user.name,
        "arn": user.arn,
        "user_creation_time": _report_time(user.create_date),
        "password_enabled": _word(has_password),
        "password_last_used": "no_information" if has_password else "N/A",
        "password_last_changed": _report_time(user.create_date) if has_password else "N/A",
        "mfa_active": _word(bool(user.mfa_devices)),
        "access_key_1_active": "false",
        "access_key_2_active": "false",
        "cert_1_active": "false",
        "cert_2_active": "false",
    }
    for key, access_key in zip(_KEYS, user.access_keys, strict=False):
        row[f"{key}_active"] = _word(access_key.status == "Active")
        row[f"{key}_last_rotated"] = _report_time(access_key.create_date)
    return row


def _report_time(moment: Any) -> str:
    return iso(moment).replace("Z", "+00:00")


def _word(value: bool) -> str:
    return "true" if value else "false"


def list_users(state: SandboxState, call: AwsCall) -> Response:
    """``iam:ListUsers`` in pages; moto gives everyone at once."""
    del state
    prefix = call.form.get("PathPrefix", "/")
    users = [
        {
            "Path": user.path,
            "UserName": user.name,
            "UserId": user.id,
            "Arn": user.arn,
            "CreateDate": user.create_date,
        }
        for user in sorted(_backend(call).users.values(), key=lambda user: str(user.name))
        if user.path.startswith(prefix)
    ]
    return query_response(call, _page(call, "Users", users))


def list_virtual_mfa_devices(state: SandboxState, call: AwsCall) -> Response:
    """``iam:ListVirtualMFADevices`` with the root user's device when it has a virtual one."""
    devices = []
    root = state.account(call.account_id).root
    if root.mfa_enabled and root.mfa_kind == "virtual":
        arn = _root_arn(call)
        devices.append(
            {
                "SerialNumber": arn.replace(":root", ":mfa/root-account-mfa-device"),
                "EnableDate": _ROOT_DEVICE_ENABLED,
                "User": {"UserId": call.account_id, "Arn": arn, "CreateDate": _ROOT_CREATED},
            }
        )
    devices += [_virtual_device(device) for device in _backend(call).virtual_mfa_devices.values()]
    wanted = call.form.get("AssignmentStatus", "Any")
    if wanted != "Any":
        devices = [one for one in devices if ("User" in one) == (wanted == "Assigned")]
    return query_response(call, _page(call, "VirtualMFADevices", devices))


def _virtual_device(device: Any) -> dict[str, Any]:
    shown: dict[str, Any] = {"SerialNumber": device.serial_number}
    if device.user:
        user = device.user
        shown["EnableDate"] = device.enable_date
        shown["User"] = {
            "Path": user.path,
            "UserName": user.name,
            "UserId": user.id,
            "Arn": user.arn,
            "CreateDate": user.create_date,
        }
    return shown


def _page(call: AwsCall, name: str, entries: list[dict[str, Any]]) -> dict[str, Any]:
    start = int(call.form.get("Marker", 0))
    end = start + int(call.form.get("MaxItems", _DEFAULT_PAGE))
    truncated = end < len(entries)
    page: dict[str, Any] = {name: entries[start:end], "IsTruncated": truncated}
    if truncated:
        page["Marker"] = str(end)
    return page


def attach_role_policy(state: SandboxState, call: AwsCall) -> None:
    """Make the AWS-managed policies the product names exist before moto attaches them."""
    account = state.account(call.account_id)
    if ":iam::aws:policy/" not in call.form.get("PolicyArn", "") or account.managed_policies_loaded:
        return
    from moto.iam.models import AWSManagedPolicy  # noqa: PLC0415 - moto is heavy

    account.managed_policies_loaded = True
    backend = _backend(call)
    for name, data in _managed_policy_documents().items():
        policy = AWSManagedPolicy.from_data(name, call.account_id, call.region, data)
        backend.managed_policies[policy.arn] = policy


@lru_cache(maxsize=1)
def _managed_policy_documents() -> dict[str, dict[str, Any]]:
    from moto.iam.aws_managed_policies import (  # noqa: PLC0415 - megabytes of JSON, rarely used
        aws_managed_policies_data,
    )

    known = json.loads(aws_managed_policies_data)
    return {name: known[name] for name in _MANAGED_POLICIES if name in known}
