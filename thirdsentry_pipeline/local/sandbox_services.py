"""CloudTrail, EC2 and KMS where moto differs from AWS."""

from __future__ import annotations

from base64 import b64decode
from typing import TYPE_CHECKING, Any

from thirdsentry_pipeline.local.sandbox_state import OPT_IN_REGIONS, PARTITION_REGIONS
from thirdsentry_pipeline.local.sandbox_wire import AwsError, ec2_response, json_response

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

    from thirdsentry_pipeline.local.sandbox_request import AwsCall
    from thirdsentry_pipeline.local.sandbox_state import SandboxState

_KEY_ID_LENGTH = 36
_DEFAULT_SELECTOR = {
    "ReadWriteType": "All",
    "IncludeManagementEvents": True,
    "DataResources": [],
    "ExcludeManagementEventSources": [],
}


def describe_regions(state: SandboxState, call: AwsCall) -> Response:
    """``ec2:DescribeRegions``: the enabled regions, with ``AllRegions`` the others too."""
    account = state.account(call.account_id)
    enabled = account.regions(call.partition)
    known = set(enabled) | set(PARTITION_REGIONS.get(call.partition, OPT_IN_REGIONS))
    names = _numbered(call.form, "RegionName.")
    filters = _filters(call.form)
    everything = call.form.get("AllRegions", "false").lower() == "true"
    rows = [
        {
            "regionName": region,
            "regionEndpoint": f"ec2.{region}.amazonaws.com",
            "optInStatus": _opt_in_status(region, enabled),
        }
        for region in sorted(known)
        if (everything or region in enabled) and (not names or region in names)
    ]
    for filter_name, key in (("opt-in-status", "optInStatus"), ("region-name", "regionName")):
        if filter_name in filters:
            rows = [row for row in rows if row[key] in filters[filter_name]]
    return ec2_response(call, {"regionInfo": rows})


def _opt_in_status(region: str, enabled: tuple[str, ...]) -> str:
    if region not in OPT_IN_REGIONS:
        return "opt-in-not-required"
    return "opted-in" if region in enabled else "not-opted-in"


def _numbered(form: dict[str, str], prefix: str) -> list[str]:
    return [value for key, value in form.items() if key.startswith(prefix)]


def _filters(form: dict[str, str]) -> dict[str, list[str]]:
    return {
        name: _numbered(form, key.removesuffix("Name") + "Value.")
        for key, name in form.items()
        if key.startswith("Filter.") and key.endswith(".Name")
    }


def _trails(call: AwsCall) -> list[Any]:
    from moto.cloudtrail.models import cloudtrail_backends  # noqa: PLC0415 - moto is heavy

    backends = list(cloudtrail_backends[call.account_id].values())
    return [trail for backend in backends for trail in backend.trails.values()]


def describe_trails(state: SandboxState, call: AwsCall) -> Response:
    """``cloudtrail:DescribeTrails``: the region's own trails and the shadows of other regions'."""
    del state
    shadows = call.document.get("includeShadowTrails", True)
    names = call.document.get("trailNameList") or []
    trails = [
        trail
        for trail in _trails(call)
        if trail.region_name == call.region or (shadows and trail.is_multi_region)
    ]
    if names:
        trails = [trail for trail in trails if {trail.trail_name, trail.arn} & set(names)]
    shown = [
        {
            **{k: v for k, v in trail.description(include_region=True).items() if v is not None},
            "HasCustomEventSelectors": _has_selectors(trail),
        }
        for trail in trails
    ]
    return json_response({"trailList": shown})


def _has_selectors(trail: Any) -> bool:
    return bool(trail.event_selectors or trail.advanced_event_selectors)


def _trail(call: AwsCall, name: str) -> Any:
    """By ARN from any region; by name in its home region, or where its shadow is."""
    for trail in _trails(call):
        nearby = trail.region_name == call.region or trail.is_multi_region
        if name == trail.arn or (nearby and name == trail.trail_name):
            return trail
    msg = f"Unknown trail: {name} for the user: {call.account_id}"
    raise AwsError(code="TrailNotFoundException", message=msg, status=404)


def get_trail_status(state: SandboxState, call: AwsCall) -> Response:
    """``cloudtrail:GetTrailStatus``."""
    del state
    trail = _trail(call, str(call.document.get("Name", "")))
    return json_response(trail.status.description())


def get_event_selectors(state: SandboxState, call: AwsCall) -> Response:
    """``cloudtrail:GetEventSelectors``, with AWS's default selector when none was put."""
    del state
    trail = _trail(call, str(call.document.get("TrailName", "")))
    answer: dict[str, Any] = {"TrailARN": trail.arn}
    if trail.advanced_event_selectors:
        answer["AdvancedEventSelectors"] = trail.advanced_event_selectors
    else:
        answer["EventSelectors"] = trail.event_selectors or [_DEFAULT_SELECTOR]
    return json_response(answer)


def check_kms_key_is_usable(state: SandboxState, call: AwsCall) -> None:
    """Refuse to use a disabled or deleted key; moto would go on decrypting.

    Raises:
        AwsError: the key of the request or of the ciphertext can't be used.
    """
    del state
    from moto.kms.models import kms_backends  # noqa: PLC0415 - moto is heavy

    backend = kms_backends[call.account_id][call.region]
    key_id = _key_of(call, backend)
    key = backend.keys.get(key_id)
    if key is None or key.key_state == "Enabled":
        return
    if key.key_state == "Disabled":
        raise AwsError(code="DisabledException", message=f"{key.arn} is disabled.")
    raise AwsError(code="KMSInvalidStateException", message=f"{key.arn} is pending deletion.")


def _key_of(call: AwsCall, backend: Any) -> str:
    """The key id of the ciphertext (moto begins it with that) or of the request."""
    blob = call.document.get("CiphertextBlob")
    if blob:
        return b64decode(blob)[:_KEY_ID_LENGTH].decode("ascii", "replace")
    return str(backend.any_id_to_key_id(str(call.document.get("KeyId", ""))))
