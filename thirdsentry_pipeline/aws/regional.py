"""One client of an account's session calling many regions.

An account's 17 regions are asked with the same credentials, so a client for each costs time and
buys nothing. botocore lets a handler choose the region of a call where it looks up the endpoint;
its own S3 client follows buckets to their regions in this way.
"""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.utils import validate_region_name

if TYPE_CHECKING:
    from collections.abc import Callable


class RegionalCalls:
    """Lends a client to other regions of its partition; safe in several threads at once."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._call = threading.local()
        client.meta.events.register("before-endpoint-resolution", self._route)

    def of(self, region: str) -> Any:
        """The client, its calls sent to and signed for ``region``.

        Raises:
            botocore.exceptions.InvalidRegionError: no region is called so.
        """
        if region == self._client.meta.region_name:
            return self._client
        validate_region_name(region)
        return _RegionalClient(self._client, partial(self._send, region))

    def _send(self, region: str, operation: Callable[..., Any], **parameters: Any) -> Any:
        self._call.region = region
        try:
            return operation(**parameters)
        finally:
            self._call.region = None

    def _route(self, builtins: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        region = getattr(self._call, "region", None)
        if region is not None:
            builtins["AWS::Region"] = region
            context.setdefault("signing", {})["region"] = region


class _RegionalClient:
    """Operations of a client, called in one region."""

    __slots__ = ("_client", "_send")

    def __init__(self, client: Any, send: Callable[..., Any]) -> None:
        self._client = client
        self._send = send

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        return partial(self._send, getattr(self._client, operation))
