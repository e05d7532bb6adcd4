"""Clients of account sessions: botocore's calls on the shortest way, each as one identity.

A client of botocore's own runs some twenty handlers and makes as many objects for every call.
Here the request comes from the service's dialect, is signed by the client's own signer and sent
by the session's own transport; what fails is tried again by botocore's rules.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.utils import validate_region_name

from thirdsentry_pipeline.aws.dialects import ERROR
from thirdsentry_pipeline.aws.retries import Retries, new_invocation_id
from thirdsentry_pipeline.aws.signing import Request, Signer

if TYPE_CHECKING:
    from collections.abc import Callable

    from thirdsentry_pipeline.aws.dialects import Dialect
    from thirdsentry_pipeline.aws.retries import Response
    from thirdsentry_pipeline.aws.signing import Composed
    from thirdsentry_pipeline.aws.transport import Transport


class _Identity:
    """Who calls a service, over which connections and with which budget of retries."""

    __slots__ = ("dialect", "retries", "signer", "transport")

    def __init__(self, dialect: Dialect, signer: Signer, transport: Transport) -> None:
        self.dialect = dialect
        self.retries = Retries(dialect)
        self.signer = signer
        self.transport = transport


class AccountClient:
    """A service's operations in one region, called as ``client.list_users(…)``.

    Safe in several threads at once. Clients of other regions share its identity and its budget
    of retries.
    """

    __slots__ = ("_identity", "_region")

    def __init__(self, identity: _Identity, region: str) -> None:
        self._identity = identity
        self._region = region

    @classmethod
    def bound(cls, dialect: Dialect, credentials: Any, transport: Transport) -> AccountClient:
        """A client that signs with ``credentials`` for its whole life, in the dialect's region."""
        return cls(_Identity(dialect, Signer(credentials), transport), dialect.home)

    @property
    def exceptions(self) -> Any:
        """The service's modelled errors, as a botocore client has them."""
        return self._identity.dialect.exceptions

    def of(self, region: str) -> AccountClient:
        """The client, its calls sent to and signed for ``region``.

        Raises:
            botocore.exceptions.InvalidRegionError: no region is called so.
        """
        if region == self._region:
            return self
        validate_region_name(region)
        return AccountClient(self._identity, region)

    def __getattr__(self, method: str) -> Callable[..., dict[str, Any]]:
        if not self._identity.dialect.knows(method):
            message = f"{self._identity.dialect.service_id} has no operation {method}"
            raise AttributeError(message)
        return partial(self._call, method)

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        composed = self._identity.dialect.compose(method, parameters, self._region)
        answer, parsed = self._send(composed)
        if answer.status_code < ERROR:
            return parsed
        code = parsed.get("Error", {}).get("Code")
        raise self.exceptions.from_code(code)(parsed, composed.operation.name)

    def _send(self, composed: Composed) -> Response:
        """The first answer that is not to be asked for again.

        Raises:
            Exception: why there is none.
        """
        retries = self._identity.retries
        context = {**composed.context, "retries": {"invocation-id": new_invocation_id()}}
        response: Response | None = None
        attempt = 0
        while True:
            attempt += 1
            outcome = self._attempt(composed, context, attempt, response)
            response = None if isinstance(outcome, Exception) else outcome
            if response is not None and response[0].status_code < ERROR:
                break
            pause = retries.pause(composed.operation, context, attempt, outcome)
            if pause is None:
                break
            self._identity.transport.pause(pause)
        if isinstance(outcome, Exception):
            raise outcome
        retries.settle(context, outcome[0])
        outcome[1].get("ResponseMetadata", {})["RetryAttempts"] = attempt - 1
        return outcome

    def _attempt(
        self,
        composed: Composed,
        context: dict[str, Any],
        attempt: int,
        before: Response | None,
    ) -> Response | Exception:
        who = self._identity
        request = Request(composed, context)
        who.signer.sign(request, composed)
        who.retries.mark(request, attempt, before)
        if composed.length is not None:
            request.headers["Content-Length"] = composed.length
        try:
            answer = who.transport.send(request, composed.action)
        except Exception as failure:  # noqa: BLE001 - which of them to try again is botocore's rule
            return failure
        parsed = who.dialect.parse(composed.operation, answer)
        if answer.status_code >= ERROR:
            who.transport.note_throttle(answer, parsed)
        return answer, parsed
