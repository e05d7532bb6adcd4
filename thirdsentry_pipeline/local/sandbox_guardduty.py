"""GuardDuty findings, which moto has not: filters, pages, samples; steady detector ids."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from thirdsentry_pipeline.local.sandbox_state import iso, now
from thirdsentry_pipeline.local.sandbox_wire import AwsError, json_response

if TYPE_CHECKING:
    from collections.abc import Callable

    from werkzeug.wrappers import Response

    from thirdsentry_pipeline.local.sandbox_request import AwsCall
    from thirdsentry_pipeline.local.sandbox_state import SandboxState

_PAGE = 50
_FIRST_SEEN = "2026-01-05T09:00:00.000Z"
_SAMPLE_TYPES = (
    "Backdoor:EC2/C&CActivity.B!DNS",
    "CryptoCurrency:EC2/BitcoinTool.B!DNS",
    "UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS",
)
_NOT_OWNED = (
    "The request is rejected because the input detectorId is not owned by the current account."
)
_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "gt": lambda value, wanted: value > wanted,
    "greaterThan": lambda value, wanted: value > wanted,
    "gte": lambda value, wanted: value >= wanted,
    "greaterThanOrEqual": lambda value, wanted: value >= wanted,
    "lt": lambda value, wanted: value < wanted,
    "lessThan": lambda value, wanted: value < wanted,
    "lte": lambda value, wanted: value <= wanted,
    "lessThanOrEqual": lambda value, wanted: value <= wanted,
}


def _backend(call: AwsCall) -> Any:
    from moto.guardduty.models import guardduty_backends  # noqa: PLC0415 - moto is heavy

    return guardduty_backends[call.account_id][call.region]


def _detector_id(call: AwsCall) -> str:
    detector_id = unquote(call.path.split("/")[2])
    if detector_id not in _backend(call).detectors:
        raise AwsError(code="BadRequestException", message=_NOT_OWNED)
    return detector_id


def create_detector(state: SandboxState, call: AwsCall) -> Response:
    """One detector per region, with an id that is the same on every start."""
    del state
    backend = _backend(call)
    if backend.detectors:
        msg = "The request is rejected because a detector already exists for the current account."
        raise AwsError(code="BadRequestException", message=msg)
    wish = call.document
    made = backend.create_detector(
        wish.get("enable"),
        wish.get("findingPublishingFrequency"),
        wish.get("dataSources"),
        wish.get("tags"),
        wish.get("features"),
    )
    detector = backend.detectors.pop(made)
    detector.id = stable_id(call.account_id, call.region)
    backend.detectors[detector.id] = detector
    return json_response({"detectorId": detector.id})


def list_detectors(state: SandboxState, call: AwsCall) -> Response:
    """``guardduty:ListDetectors``; the last page has an empty token, as at AWS."""
    del state
    return json_response({"detectorIds": list(_backend(call).detectors), "nextToken": ""})


def get_administrator_account(state: SandboxState, call: AwsCall) -> Response:
    """``guardduty:GetAdministratorAccount``: empty unless an administrator was set."""
    _detector_id(call)
    account_id = state.account(call.account_id).guardduty_administrators.get(call.region)
    if account_id is None:
        return json_response({})
    administrator = {"accountId": account_id, "relationshipStatus": "Enabled"}
    return json_response({"administrator": administrator})


def list_findings(state: SandboxState, call: AwsCall) -> Response:
    """``guardduty:ListFindings`` with criteria and pages of at most 50."""
    _detector_id(call)
    wish = call.document
    size = int(wish.get("maxResults") or _PAGE)
    if size > _PAGE:
        msg = "The request is rejected because maxResults is larger than 50."
        raise AwsError(code="BadRequestException", message=msg)
    criteria = (wish.get("findingCriteria") or {}).get("criterion") or {}
    known = state.account(call.account_id).findings.get(call.region, {})
    ids = sorted(key for key, finding in known.items() if _matches(finding, criteria))
    start = int(wish.get("nextToken") or 0)
    end = start + size
    token = str(end) if end < len(ids) else ""
    return json_response({"findingIds": ids[start:end], "nextToken": token})


def _matches(finding: dict[str, Any], criteria: dict[str, dict[str, Any]]) -> bool:
    return all(
        _condition_holds(_value(finding, path), operator, wanted)
        for path, condition in criteria.items()
        for operator, wanted in condition.items()
    )


def _value(finding: dict[str, Any], path: str) -> Any:
    value: Any = finding
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _condition_holds(value: Any, operator: str, wanted: Any) -> bool:
    if operator in _COMPARISONS:
        return value is not None and _COMPARISONS[operator](float(value), float(wanted))
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if operator in {"eq", "equals"}:
        return text in wanted
    if operator in {"neq", "notEquals"}:
        return text not in wanted
    msg = f"The request is rejected because the criterion operator {operator} is not known."
    raise AwsError(code="BadRequestException", message=msg)


def get_findings(state: SandboxState, call: AwsCall) -> Response:
    """``guardduty:GetFindings``, at most 50 at a time."""
    _detector_id(call)
    ids = call.document.get("findingIds") or []
    if not 0 < len(ids) <= _PAGE:
        msg = "The request is rejected because the number of findingIds is not 1 to 50."
        raise AwsError(code="BadRequestException", message=msg)
    known = state.account(call.account_id).findings.get(call.region, {})
    return json_response({"findings": [known[one] for one in ids if one in known]})


def create_sample_findings(state: SandboxState, call: AwsCall) -> Response:
    """``guardduty:CreateSampleFindings``."""
    _detector_id(call)
    for finding_type in call.document.get("findingTypes") or _SAMPLE_TYPES:
        wish = {"type": finding_type, "severity": 8, "sample": True}
        add_finding(state, call.account_id, call.region, wish)
    return json_response({})


def archive_findings(state: SandboxState, call: AwsCall) -> Response:
    """``guardduty:ArchiveFindings`` and ``UnarchiveFindings``."""
    _detector_id(call)
    known = state.account(call.account_id).findings.get(call.region, {})
    for one in call.document.get("findingIds") or []:
        if one in known:
            known[one]["service"]["archived"] = call.operation == "ArchiveFindings"
    return json_response({})


def stable_id(*parts: object) -> str:
    """32 hexadecimal characters that depend on the parts alone."""
    text = "/".join(str(part) for part in parts)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def add_finding(state: SandboxState, account_id: str, region: str, wish: dict[str, Any]) -> str:
    """Store one finding from the admin API's fields; gives its id."""
    known = state.account(account_id).findings.setdefault(region, {})
    finding_type = str(wish.get("type", "UnauthorizedAccess:IAMUser/ConsoleLoginSuccess.B"))
    sample = bool(wish.get("sample", False))
    ordinal = len(known)
    finding_id = str(wish.get("id") or stable_id(account_id, region, finding_type, ordinal))
    first = wish.get("first_seen_at", _FIRST_SEEN)
    last = wish.get("last_seen_at") or iso(now())
    detector_id = stable_id(account_id, region)
    known[finding_id] = {
        "schemaVersion": "2.0",
        "accountId": str(wish.get("account_id") or account_id),
        "region": region,
        "partition": "aws",
        "id": finding_id,
        "arn": f"arn:aws:guardduty:{region}:{account_id}:detector/{detector_id}"
        f"/finding/{finding_id}",
        "type": finding_type,
        "severity": float(wish.get("severity", 8.0)),
        "title": f"{'[SAMPLE] ' if sample else ''}{finding_type}",
        "description": "A finding of the sandbox.",
        "createdAt": first,
        "updatedAt": last,
        "resource": {
            "resourceType": "AccessKey",
            "accessKeyDetails": {"accessKeyId": "AKIAIOSFODNN7EXAMPLE", "userName": "example-user"},
        },
        "service": {
            "serviceName": "guardduty",
            "detectorId": detector_id,
            "archived": bool(wish.get("archived", False)),
            "count": int(wish.get("count", 1)),
            "eventFirstSeen": first,
            "eventLastSeen": last,
            "action": {
                "actionType": "AWS_API_CALL",
                "awsApiCallAction": {"remoteIpDetails": {"ipAddressV4": "198.51.100.7"}},
            },
            "additionalInfo": {
                "type": "default",
                "value": '{"sample":true}' if sample else "{}",
            },
        },
    }
    return finding_id
