"""An open role in one account, and the clients that act as it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self

from thirdsentry_pipeline.aws.errors import DeadlinePassedError

if TYPE_CHECKING:
    from thirdsentry_pipeline.aws.account_client import AccountClient
    from thirdsentry_pipeline.aws.sessions import PlatformAws, SessionCredentials
    from thirdsentry_pipeline.aws.transport import CallCounter, Transport
    from thirdsentry_pipeline.domain.identifiers import RoleArn


class AccountSession:
    """An open role in one account; ``client`` gives clients that can act as nothing else.

    Closing it drops the credentials, the clients and their connections for good.
    """

    def __init__(
        self,
        platform: PlatformAws,
        role: RoleArn,
        credentials: SessionCredentials,
        transport: Transport,
    ) -> None:
        self.account_id = role.account_id
        self.partition = role.partition
        self.default_region = role.default_region
        self._platform = platform
        self._credentials: SessionCredentials | None = credentials
        self._transport = transport
        self._lock = threading.Lock()
        self._clients: dict[str, AccountClient] = {}

    @property
    def calls(self) -> CallCounter:
        """The requests sent for this session, AssumeRole included."""
        return self._transport.calls

    @property
    def regions_of_partition(self) -> tuple[str, ...]:
        """Every region of the role's partition that botocore's own data knows."""
        return self._platform.regions_of(self.partition)

    def stop_after(self, seconds: float) -> None:
        """Refuse requests from so many seconds on; an earlier end stays."""
        self._transport.stop_after(seconds)

    def client(self, service: str, region: str) -> AccountClient:
        """The session's client for a service, calling ``region``.

        Raises:
            DeadlinePassedError: the session is closed.
        """
        with self._lock:
            if self._credentials is None:
                message = "the session is closed"
                raise DeadlinePassedError(message)
            if service not in self._clients:
                self._clients[service] = self._platform.client(
                    service, self.default_region, self._credentials, transport=self._transport
                )
            return self._clients[service].of(region)

    def close(self) -> None:
        """Forget the credentials and close every connection."""
        with self._lock:
            self._credentials = None
            self._clients.clear()
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"AccountSession(account_id={self.account_id!r})"
