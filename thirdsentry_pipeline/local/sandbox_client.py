"""The client of the sandbox: seeds accounts, sets what AWS has no API for, injects faults."""

from __future__ import annotations

import functools
import json
import threading
import urllib.error
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_TIMEOUT_SECONDS = 30
_ANY_KEY = "seed"
_CLIENTS_KEPT = 60
_ONE_AT_A_TIME = threading.Lock()
"""botocore sessions are not safe to create clients from in several threads at once."""


class SandboxAdmin:
    """Talks to the sandbox at ``endpoint_url``; every method is one HTTP request."""

    def __init__(self, endpoint_url: str) -> None:
        self.endpoint_url = endpoint_url.rstrip("/")
        self._clients: dict[tuple[str, str, str], Any] = {}

    def client(self, service: str, account_id: str, region: str = "us-east-1") -> Any:
        """A boto3 client that acts as the root of the account, to seed it; kept for a while."""
        wanted = (service, account_id, region)
        with _ONE_AT_A_TIME:
            if wanted not in self._clients:
                if len(self._clients) == _CLIENTS_KEPT:
                    del self._clients[next(iter(self._clients))]
                self._clients[wanted] = self._made_client(*wanted)
            return self._clients[wanted]

    def _made_client(self, service: str, account_id: str, region: str) -> Any:
        made = _session().client(
            service,
            region_name=region,
            endpoint_url=self.endpoint_url,
            config=Config(
                retries={"total_max_attempts": 1},
                s3={"addressing_style": "path"},
            ),
        )

        def sign_as(request: Any, **_: Any) -> None:
            request.headers["x-moto-account-id"] = account_id

        def drop_host_prefix(request: Any, **_: Any) -> None:
            # s3control addresses <account>.<endpoint>, a name loopback has not
            request.url = request.url.replace(f"//{account_id}.", "//", 1)

        made.meta.events.register("before-sign.*.*", sign_as)
        made.meta.events.register("before-send.s3-control", drop_host_prefix)
        return made

    def environment(self) -> dict[str, str]:
        """The variables that point the pipeline at the sandbox."""
        environment: dict[str, str] = self._request("GET", "ready")["environment"]
        return environment

    def reset(self) -> None:
        """Forget every account, fault and call; the vendor's KMS key stays the same."""
        self._request("POST", "reset")

    def create_role(
        self,
        account_id: str,
        role_name: str,
        trust_policy: Mapping[str, Any],
        permission_policy: Mapping[str, Any] | None = None,
    ) -> str:
        """Create the role, or replace its policies when it is there; gives its ARN."""
        iam = self.client("iam", account_id)
        trust = json.dumps(trust_policy)
        try:
            arn: str = iam.create_role(RoleName=role_name, AssumeRolePolicyDocument=trust)["Role"][
                "Arn"
            ]
        except iam.exceptions.EntityAlreadyExistsException:
            iam.update_assume_role_policy(RoleName=role_name, PolicyDocument=trust)
            arn = iam.get_role(RoleName=role_name)["Role"]["Arn"]
        if permission_policy is not None:
            iam.put_role_policy(
                RoleName=role_name,
                PolicyName="ThirdSentryRead",
                PolicyDocument=json.dumps(permission_policy),
            )
        return arn

    def inject_fault(
        self,
        account_id: str | None = None,
        region: str | None = None,
        action: str | None = None,
        error_code: str = "AccessDenied",
        count: int | None = None,
        **more: Any,
    ) -> str:
        """Add a fault and give its id; one with the same ``fault_id`` is replaced.

        ``more``: message, http_status, skip, effect, seconds, fault_id.
        """
        fault = {
            "account_id": account_id,
            "region": region,
            "action": action,
            "error_code": error_code,
            "count": count,
            **more,
        }
        return str(self._request("POST", "faults", fault)["fault_id"])

    def clear_faults(self) -> None:
        """Remove every fault."""
        self._request("DELETE", "faults")

    def set_root(self, account_id: str, **fields: Any) -> None:
        """Set mfa_enabled, mfa_kind, password_present, access_keys, report_password_enabled."""
        self._request("PUT", f"accounts/{account_id}/root", fields)

    def set_credential_report(self, account_id: str, **fields: int) -> None:
        """Set ``polls`` (unfinished answers before COMPLETE) and ``age_seconds``."""
        self._request("PUT", f"accounts/{account_id}/credential-report", fields)

    def set_regions(
        self, account_id: str, enabled: Iterable[str], disabled_error: str = "OptInRequired"
    ) -> None:
        """Enable exactly these regions; the others answer ``disabled_error``."""
        body = {"enabled": list(enabled), "disabled_error": disabled_error}
        self._request("PUT", f"accounts/{account_id}/regions", body)

    def set_identity(self, account_id: str, reported: str | None) -> None:
        """Make GetCallerIdentity report another account; ``None`` ends it."""
        self._request("PUT", f"accounts/{account_id}/identity", {"account_id": reported})

    def set_guardduty_administrator(
        self, account_id: str, region: str, administrator: str | None
    ) -> None:
        """Set or remove the region's GuardDuty administrator account."""
        body = {"region": region, "account_id": administrator}
        self._request("PUT", f"accounts/{account_id}/guardduty-administrator", body)

    def add_findings(
        self, account_id: str, region: str, findings: Iterable[Mapping[str, Any]]
    ) -> list[str]:
        """Add GuardDuty findings; gives their ids."""
        body = {"region": region, "findings": list(findings)}
        answer = self._request("POST", f"accounts/{account_id}/findings", body)
        return list(answer["finding_ids"])

    def clear_findings(self, account_id: str, region: str | None = None) -> None:
        """Remove the findings of a region, or of all."""
        self._request("DELETE", f"accounts/{account_id}/findings", {"region": region})

    def expire_sessions(self, account_id: str | None = None) -> None:
        """End the assumed roles' sessions now."""
        self._request("POST", "expire-sessions", {"account_id": account_id})

    def sessions(self, *, secrets: bool = False) -> list[dict[str, Any]]:
        """Assumed roles, oldest first, with their inline session policies.

        With ``secrets`` also what they sign with, for a test that searches where it went.
        """
        path = "sessions?secrets" if secrets else "sessions"
        return list(self._request("GET", path)["sessions"])

    def calls(self, **wanted: str) -> list[dict[str, Any]]:
        """Recorded calls, oldest first; ``wanted`` filters by field.

        Fields: at, service, operation, action, region, account_id, principal, role_arn,
        status, error_code.
        """
        query = urllib.parse.urlencode(wanted)
        return list(self._request("GET", f"calls?{query}")["calls"])

    def clear_calls(self) -> None:
        """Forget the recorded calls."""
        self._request("DELETE", "calls")

    def _request(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        request = urllib.request.Request(  # noqa: S310 - always our own loopback URL
            f"{self.endpoint_url}/_sandbox/{path}",
            data=None if body is None else json.dumps(body).encode(),
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310 - as above
                parsed: dict[str, Any] = json.load(answer)
        except urllib.error.HTTPError as error:
            raise ValueError(json.load(error)["error"]) from None
        return parsed


@functools.cache
def _session() -> boto3.session.Session:
    """One for all clients of this process: it reads the services' models from disk once."""
    return boto3.session.Session(
        aws_access_key_id=_ANY_KEY, aws_secret_access_key=_ANY_KEY, region_name="us-east-1"
    )
