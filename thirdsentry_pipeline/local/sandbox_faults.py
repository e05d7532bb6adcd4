"""Injected faults: what fails, where, how often, and in which way."""

from __future__ import annotations

import os
import socket
import struct
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any
from uuid import uuid4

if TYPE_CHECKING:
    from thirdsentry_pipeline.local.sandbox_request import AwsCall
    from thirdsentry_pipeline.local.sandbox_state import SandboxState

EFFECTS = ("error", "latency", "hang", "reset", "truncate", "malformed", "expire_session")


@dataclass
class Fault:
    """One fault; ``None`` matches everything, ``count`` ``None`` lasts until cleared.

    ``skip`` calls pass before the first one fails (page ``k`` of a listing is ``skip=k-1``).
    ``seconds`` is the delay of ``latency`` and the longest time a ``hang`` lasts.
    """

    account_id: str | None = None
    region: str | None = None
    action: str | None = None
    error_code: str = "AccessDenied"
    message: str | None = None
    http_status: int | None = None
    count: int | None = None
    skip: int = 0
    effect: str = "error"
    seconds: float = 0.0
    fault_id: str = ""
    hits: int = 0

    def __post_init__(self) -> None:
        if self.effect not in EFFECTS:
            msg = f"effect must be one of {', '.join(EFFECTS)}"
            raise ValueError(msg)
        self.fault_id = self.fault_id or uuid4().hex

    def matches(self, call: AwsCall) -> bool:
        """Whether this fault applies to the call; actions match by glob, any case."""
        if self.account_id not in (None, call.target_account_id):
            return False
        if self.region not in (None, call.region):
            return False
        if self.action is None:
            return True
        names = (call.action, f"{call.service}:{call.operation}", call.operation)
        return any(fnmatchcase(name.lower(), self.action.lower()) for name in names)

    def to_json(self) -> dict[str, Any]:
        """The fault as the admin API shows it."""
        return asdict(self)


def take_faults(state: SandboxState, call: AwsCall) -> list[Fault]:
    """The faults that hit this call: any latencies, then at most one other effect."""
    taken: list[Fault] = []
    if call.caller.seeding:
        return taken
    with state.lock:
        for fault in [f for f in state.faults if f.matches(call)]:
            if fault.skip > 0:
                fault.skip -= 1
                continue
            fault.hits += 1
            if fault.count is not None:
                fault.count -= 1
                if fault.count <= 0:
                    state.faults.remove(fault)
            taken.append(fault)
            if fault.effect != "latency":
                break
    return taken


def reset_connection(environ: dict[str, Any]) -> None:
    """Drop the client's connection with a TCP reset.

    Raises:
        ConnectionResetError: always; the server takes it as a client that went away.
    """
    connection: socket.socket = environ["werkzeug.socket"]
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(connection.detach())  # close() would wait for the server's own file objects
    raise ConnectionResetError
