"""The admin API under ``/_sandbox/``; see :mod:`thirdsentry_pipeline.local.sandbox`."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from werkzeug.wrappers import Request, Response

from thirdsentry_pipeline.local.sandbox_faults import Fault
from thirdsentry_pipeline.local.sandbox_guardduty import add_finding
from thirdsentry_pipeline.local.sandbox_state import DEFAULT_REGIONS, OPT_IN_REGIONS
from thirdsentry_pipeline.local.sandbox_wire import json_response

if TYPE_CHECKING:
    from collections.abc import Callable

    from thirdsentry_pipeline.local.sandbox_state import SandboxState

_ROUTE = re.compile(
    r"/_sandbox(?:/accounts/(?P<account>\d{12}))?/(?P<what>[a-z-]+)(?:/(?P<one>[\w-]+))?/?"
)


class AdminApi:
    """Reads and changes what AWS has no API for."""

    def __init__(
        self, state: SandboxState, environment: dict[str, str], reset: Callable[[], None]
    ) -> None:
        self._state = state
        self._environment = environment
        self._reset = reset
        self._routes: dict[tuple[str, str, bool], Callable[..., Any]] = {
            ("GET", "ready", False): self._ready,
            ("POST", "reset", False): self._do_reset,
            ("GET", "faults", False): self._list_faults,
            ("POST", "faults", False): self._add_fault,
            ("DELETE", "faults", False): self._delete_faults,
            ("GET", "calls", False): self._list_calls,
            ("DELETE", "calls", False): self._delete_calls,
            ("GET", "sessions", False): self._list_sessions,
            ("POST", "expire-sessions", False): self._expire_sessions,
            ("PUT", "root", True): self._set_root,
            ("PUT", "credential-report", True): self._set_report,
            ("PUT", "regions", True): self._set_regions,
            ("PUT", "identity", True): self._set_identity,
            ("PUT", "guardduty-administrator", True): self._set_administrator,
            ("POST", "findings", True): self._add_findings,
            ("DELETE", "findings", True): self._delete_findings,
        }

    def respond(self, environ: dict[str, Any]) -> Response:
        """Answer one admin request: JSON, or 400 with a sentence."""
        request = Request(environ)
        match = _ROUTE.fullmatch(request.path)
        account = match["account"] if match else None
        route = match and self._routes.get((request.method, match["what"], account is not None))
        if not match or not route:
            return json_response({"error": f"no route {request.method} {request.path}"}, 404)
        body: Any = {}
        try:
            if request.get_data():
                body = json.loads(request.get_data())
            with self._state.lock:
                answer = route(*([account] if account else []), body, request, match["one"])
        except (TypeError, ValueError, KeyError) as error:
            return json_response({"error": str(error)}, 400)
        return json_response(answer)

    def _ready(self, _body: Any, _request: Request, _one: str | None) -> Any:
        return {"ready": True, "environment": self._environment}

    def _do_reset(self, _body: Any, _request: Request, _one: str | None) -> Any:
        self._reset()
        return {"reset": True}

    def _list_faults(self, _body: Any, _request: Request, _one: str | None) -> Any:
        return {"faults": [fault.to_json() for fault in self._state.faults]}

    def _add_fault(self, body: Any, _request: Request, _one: str | None) -> Any:
        fault = Fault(**body)
        self._state.faults[:] = [f for f in self._state.faults if f.fault_id != fault.fault_id]
        self._state.faults.append(fault)
        return fault.to_json()

    def _delete_faults(self, _body: Any, _request: Request, one: str | None) -> Any:
        if one is None:
            self._state.clear_faults()
        else:
            self._state.faults[:] = [f for f in self._state.faults if f.fault_id != one]
        return {"faults": len(self._state.faults)}

    def _list_calls(self, _body: Any, request: Request, _one: str | None) -> Any:
        wanted = request.args
        calls = [
            call
            for call in self._state.calls
            if all(str(call.get(name)) == value for name, value in wanted.items())
        ]
        return {"calls": calls}

    def _delete_calls(self, _body: Any, _request: Request, _one: str | None) -> Any:
        self._state.calls.clear()
        return {"calls": 0}

    def _list_sessions(self, _body: Any, request: Request, _one: str | None) -> Any:
        shown = []
        hidden = set() if "secrets" in request.args else {"token", "secret"}
        for session in self._state.sessions.values():
            fields = {k: v for k, v in asdict(session).items() if k not in hidden}
            shown.append({**fields, "arn": session.arn, "expires_at": str(session.expires_at)})
        return {"sessions": shown}

    def _expire_sessions(self, body: Any, _request: Request, _one: str | None) -> Any:
        account_id = body.get("account_id")
        for session in self._state.sessions.values():
            if account_id in (None, session.account_id):
                session.expires_at = session.expires_at.replace(year=2000)
        return {"expired": True}

    def _set_root(self, account: str, body: Any, _request: Request, _one: str | None) -> Any:
        state = self._state.account(account)
        state.root = replace(state.root, **body)
        return asdict(state.root)

    def _set_report(self, account: str, body: Any, _request: Request, _one: str | None) -> Any:
        report = self._state.account(account).report
        report.polls = int(body.get("polls", report.polls))
        report.age_seconds = int(body.get("age_seconds", report.age_seconds))
        report.polled = 0
        return {"polls": report.polls, "age_seconds": report.age_seconds}

    def _set_regions(self, account: str, body: Any, _request: Request, _one: str | None) -> Any:
        enabled = tuple(sorted(body["enabled"]))
        unknown = set(enabled) - set(DEFAULT_REGIONS) - set(OPT_IN_REGIONS)
        if unknown:
            msg = f"no such region: {', '.join(sorted(unknown))}"
            raise ValueError(msg)
        state = self._state.account(account)
        state.enabled_regions = enabled
        state.disabled_region_error = body.get("disabled_error", state.disabled_region_error)
        return {"enabled": enabled, "disabled_error": state.disabled_region_error}

    def _set_identity(self, account: str, body: Any, _request: Request, _one: str | None) -> Any:
        self._state.account(account).identity_account_id = body["account_id"]
        return {"account_id": body["account_id"]}

    def _set_administrator(
        self, account: str, body: Any, _request: Request, _one: str | None
    ) -> Any:
        administrators = self._state.account(account).guardduty_administrators
        if body.get("account_id") is None:
            administrators.pop(body["region"], None)
        else:
            administrators[body["region"]] = str(body["account_id"])
        return dict(administrators)

    def _add_findings(self, account: str, body: Any, _request: Request, _one: str | None) -> Any:
        region, wishes = str(body["region"]), body["findings"]
        ids = [add_finding(self._state, account, region, wish) for wish in wishes]
        return {"finding_ids": ids}

    def _delete_findings(self, account: str, body: Any, _request: Request, _one: str | None) -> Any:
        findings = self._state.account(account).findings
        for region in [body["region"]] if body.get("region") else list(findings):
            findings.pop(region, None)
        return {"findings": sum(len(known) for known in findings.values())}
