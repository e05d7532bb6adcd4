"""IAM roles outlive a restart of the sandbox, as they do at AWS.

A connection made in one run of the demo must open in the next. So every call that changed a role
is kept in ``<state>/roles.jsonl`` (0600: trust policies hold external ids) and played again.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from werkzeug.test import Client

if TYPE_CHECKING:
    from pathlib import Path

    from thirdsentry_pipeline.local.sandbox_request import AwsCall

_KEPT = frozenset(
    {
        "CreateRole",
        "UpdateRole",
        "DeleteRole",
        "UpdateAssumeRolePolicy",
        "PutRolePolicy",
        "DeleteRolePolicy",
        "AttachRolePolicy",
        "DetachRolePolicy",
    }
)


class RoleJournal:
    """Calls that changed roles, in order."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._replaying = False

    def keep(self, call: AwsCall) -> None:
        """Write the call down if it changed a role; the caller has seen it succeed."""
        if self._replaying or call.service != "iam" or call.operation not in _KEPT:
            return
        entry = {"account_id": call.account_id, "region": call.region, "form": call.form}
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "a") as file:
            file.write(json.dumps(entry) + "\n")

    def replay(self, application: Any) -> None:
        """Make the calls again; a line cut short by a crash is the last one and is left out."""
        if not self._path.exists():
            return
        self._replaying = True
        client = Client(application)
        for line in self._path.read_text().splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            scope = f"Credential=replay/20260101/{entry['region']}/iam/aws4_request"
            headers = {
                "Authorization": f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0",
                "x-moto-account-id": entry["account_id"],
            }
            client.post("/", data=entry["form"], headers=headers)
        self._replaying = False

    def forget(self) -> None:
        """Start over with no roles."""
        self._path.unlink(missing_ok=True)
