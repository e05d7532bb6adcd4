"""AWS clients: the platform's own and, with explicit credentials, those of one account."""

from __future__ import annotations

import functools
import logging
import threading
from dataclasses import dataclass, field
from typing import Any

import botocore.session
from botocore import UNSIGNED
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import (
    CredentialRetrievalError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    SSOError,
    TokenRetrievalError,
)
from botocore.loaders import Loader, create_loader

from thirdsentry_pipeline.aws.account_client import AccountClient
from thirdsentry_pipeline.aws.dialects import SERVICES, Dialects
from thirdsentry_pipeline.aws.transport import CONNECT_SECONDS, READ_SECONDS, Transport
from thirdsentry_pipeline.domain.errors import ConfigurationError

_ATTEMPTS = 4
_BRIEF_SECONDS = 3


@dataclass(frozen=True, slots=True)
class SessionCredentials:
    """What AssumeRole handed out; nothing of it shows in a repr."""

    access_key_id: str = field(repr=False)
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)


class PlatformAws:
    """The platform's AWS: one botocore session for models, endpoints and our own credentials.

    ``endpoint_url`` sends everything to one address (the sandbox). ``region`` is where the
    platform's own services are; without it, botocore's own configuration decides.
    """

    def __init__(self, *, endpoint_url: str | None = None, region: str | None = None) -> None:
        quiet_loggers()
        self._endpoint_url = endpoint_url
        self._region = region
        self._session = botocore.session.Session()
        self._session.register_component("data_loader", _models())
        self._dialects = _dialects(endpoint_url, _CONFIG)
        # botocore sessions are not safe to create clients from in several threads at once.
        self._lock = threading.Lock()
        self._transport = self.new_transport()
        self._clients: dict[tuple[str, str | None], Any] = {}

    def new_transport(self) -> Transport:
        """A transport of its own for one account session."""
        quiet_loggers()  # again: a level may have been set since
        return Transport(
            endpoint_url=self._endpoint_url,
            ca_bundle=self._session.get_config_variable("ca_bundle"),
        )

    def client(
        self,
        service: str,
        region: str | None = None,
        credentials: SessionCredentials | None = None,
        *,
        transport: Transport | None = None,
    ) -> Any:
        """A client with standard retries and short timeouts.

        Without ``credentials`` it is the platform's own; such a client is made once per region
        unless it is to send through the ``transport`` of an account session.

        Raises:
            ConfigurationError: no region is configured and none was named.
        """
        region = region or self._region
        with self._lock:
            if credentials is not None or transport is not None:
                return self._create(service, region, credentials, transport or self._transport)
            if (service, region) not in self._clients:
                created = self._create(service, region, None, self._transport)
                self._clients[service, region] = created
            return self._clients[service, region]

    def anonymous_client(self, service: str) -> Any:
        """A client of the platform's region that signs nothing and asks once, briefly.

        Raises:
            ConfigurationError: no region is configured.
        """
        with self._lock:
            client = self._create_own(service, self._region, _ANONYMOUS)
            self._transport.attach(client)
            return client

    def regions_of(self, partition: str) -> tuple[str, ...]:
        """Every region of a partition that botocore's own data knows, sorted."""
        with self._lock:
            return tuple(sorted(self._session.get_available_regions("ec2", partition)))

    def _create(
        self,
        service: str,
        region: str | None,
        credentials: SessionCredentials | None,
        transport: Transport,
    ) -> Any:
        home = region or self._session.get_config_variable("region")
        if home is not None and (credentials is not None or service in SERVICES):
            own = self._session.get_credentials() if credentials is None else _bound(credentials)
            return AccountClient.bound(self._dialects.of(service, home), own, transport)
        client = self._create_own(service, region)
        transport.attach(client)
        return client

    def _create_own(self, service: str, region: str | None, config: Config | None = None) -> Any:
        try:
            return self._session.create_client(
                service,
                region_name=region,
                endpoint_url=self._endpoint_url,
                config=config or _CONFIG,
            )
        except NoRegionError:
            message = "No AWS region is configured for the platform; set AWS_DEFAULT_REGION."
            raise ConfigurationError(message) from None


def _bound(credentials: SessionCredentials) -> Credentials:
    return Credentials(
        credentials.access_key_id,
        credentials.secret_access_key,
        credentials.session_token,
        method="explicit",
    )


def credentials_missing() -> ConfigurationError:
    """The platform itself has no usable AWS credentials; that is no tenant's failure."""
    return ConfigurationError(
        "The platform has no AWS credentials that work; set AWS_ACCESS_KEY_ID and "
        "AWS_SECRET_ACCESS_KEY, or give this process a role."
    )


CREDENTIAL_ERRORS = (
    NoCredentialsError,
    PartialCredentialsError,
    CredentialRetrievalError,
    SSOError,
    TokenRetrievalError,
)
"""What botocore raises when it finds no credentials of ours to sign with."""

_CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
    connect_timeout=CONNECT_SECONDS,
    read_timeout=READ_SECONDS,
    user_agent_extra="thirdsentry-pipeline",
)

_ANONYMOUS = Config(
    signature_version=UNSIGNED,
    retries={"mode": "standard", "total_max_attempts": 1},
    connect_timeout=_BRIEF_SECONDS,
    read_timeout=_BRIEF_SECONDS,
    user_agent_extra="thirdsentry-pipeline",
)


@functools.cache
def _models() -> Loader:
    """The service models, read from disk once per process."""
    return create_loader(None)


@functools.cache
def _dialects(endpoint_url: str | None, config: Config) -> Dialects:
    """How services are spoken to at one address: made once per process, without credentials."""
    return Dialects(_models(), config, endpoint_url)


def preload_models() -> None:
    """Read from disk what clients are made from; no client, session or credential is made."""
    loader = _models()
    for name in ("endpoints", "partitions", "sdk-default-configuration", "_retry"):
        loader.load_data(name)
    for service in sorted(SERVICES):
        for kind in ("service-2", "endpoint-rule-set-1"):
            loader.load_service_model(service, kind)


def quiet_loggers() -> None:
    """At DEBUG these libraries write signed headers and answers, credentials included.

    A level set on ``botocore.endpoint`` counts more than one on ``botocore``, so every logger
    below the three is held as well.
    """
    for name in ("boto3", "botocore", "urllib3"):
        logging.getLogger(name).setLevel(max(logging.getLogger(name).level, logging.INFO))
    for name, logger in tuple(logging.root.manager.loggerDict.items()):
        below = name.startswith(("boto3.", "botocore.", "urllib3."))
        if below and isinstance(logger, logging.Logger) and 0 < logger.level < logging.INFO:
            logger.setLevel(logging.INFO)
