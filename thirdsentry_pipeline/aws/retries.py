"""Trying a failed call again: botocore's standard mode, its conditions, pauses and budget."""

from __future__ import annotations

from random import getrandbits
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import UUID

from botocore.handlers import add_retry_headers
from botocore.retries.standard import register_retry_handler

if TYPE_CHECKING:
    from collections.abc import Callable

    from thirdsentry_pipeline.aws.dialects import Dialect
    from thirdsentry_pipeline.aws.signing import Request

Response: TypeAlias = tuple[Any, dict[str, Any]]
"""An answer and what it says."""


def new_invocation_id() -> str:
    """What the attempts of one call have in common, as AWS's logs show it.

    It is a name and no secret: `uuid4` asks the system, which lets another thread take over.
    """
    return str(UUID(int=getrandbits(128), version=4))


class Retries:
    """One client's budget of retries and the rules of spending it; safe in several threads."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        hooks = _Hooks()
        meta = SimpleNamespace(service_model=dialect.service_model, events=hooks)
        register_retry_handler(SimpleNamespace(meta=meta), dialect.most_attempts)
        self._pause = hooks.handlers["needs-retry"]
        self._release = hooks.handlers["after-call"]

    def mark(self, request: Request, attempt: int, response: Response | None) -> None:
        """Tell the service which attempt of how many this is; ``response`` is the one before."""
        self._dialect.note_attempt(request.context, attempt, response)
        request.context["retries"]["max"] = self._dialect.most_attempts
        add_retry_headers(request)

    def pause(
        self,
        operation: Any,
        context: dict[str, Any],
        attempt: int,
        outcome: Response | Exception,
    ) -> float | None:
        """The seconds to wait before the next attempt; ``None`` when there is to be none."""
        failed = isinstance(outcome, Exception)
        pause: float | None = self._pause(
            response=None if failed else outcome,
            operation=operation,
            attempts=attempt,
            caught_exception=outcome if failed else None,
            request_dict={"context": context},
        )
        return pause

    def settle(self, context: dict[str, Any], answer: Any) -> None:
        """Give back to the budget what a call that went well has taken from it."""
        self._release(context=context, http_response=answer)


class _Hooks:
    """Stands where botocore registers its retries with a client's events, and keeps them."""

    def __init__(self) -> None:
        self.handlers: dict[str, Callable[..., Any]] = {}

    def register(self, event: str, handler: Callable[..., Any], **_: Any) -> None:
        """Keep a handler by the kind of its event."""
        self.handlers[event.partition(".")[0]] = handler
