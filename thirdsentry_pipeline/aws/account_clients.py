"""Making the clients of account sessions: what holds no credentials is made once per process.

botocore builds a service's class and model anew for every client and copies the handlers of all
its services into it; for the 40 clients of an account that costs more than the calls. Here models
and classes are shared, and handlers of other services left out. The client, its signer with the
credentials, its handlers and its endpoint are made for it alone.
"""

from __future__ import annotations

import copy
from typing import Any

import botocore.retryhandler
import botocore.session
import botocore.translate
from botocore.client import ClientCreator
from botocore.configprovider import (
    BOTOCORE_DEFAUT_SESSION_VARIABLES,
    ConfiguredEndpointProvider,
)
from botocore.errorfactory import ClientExceptionsFactory
from botocore.handlers import BUILTIN_HANDLERS, REGISTER_FIRST, REGISTER_LAST
from botocore.hooks import HierarchicalEmitter
from botocore.regions import EndpointResolver

SERVICES = frozenset({"sts", "iam", "ec2", "cloudtrail", "guardduty", "s3control"})
"""What account sessions talk to, as botocore names the services."""

_IN_EVENTS = {"s3control": "s3-control"}
_CONCERNED = frozenset({"*", *(_IN_EVENTS.get(name, name) for name in SERVICES)})


class AccountClients:
    """Makes clients, each with credentials of its own; not safe in several threads at once."""

    def __init__(self, loader: Any) -> None:
        self._session = botocore.session.Session(include_builtin_handlers=False)
        self._session.register_component("data_loader", loader)
        # Plain: botocore's own emitter also looks up old names of services for every event.
        self._emitter = HierarchicalEmitter()
        _register_handlers(self._emitter)
        self._loader = loader
        endpoints, path = loader.load_data_with_path("endpoints")
        self._endpoints = EndpointResolver(
            endpoints, uses_builtin_data=loader.is_builtin_path(path)
        )
        self._creators: dict[str, _SharingCreator] = {}

    def create(
        self, service: str, region: str, credentials: Any, config: Any, endpoint_url: str | None
    ) -> Any:
        """A new client of one of `SERVICES`, bound to ``credentials`` for its whole life.

        Raises:
            ValueError: it is a service whose handlers are not registered here.
        """
        if service not in SERVICES:
            message = f"account sessions have no client of {service}"
            raise ValueError(message)
        if service not in self._creators:
            self._creators[service] = self._creator_of(service)
        return self._creators[service].create_client(
            service_name=service,
            region_name=region,
            endpoint_url=endpoint_url,
            verify=self._session.get_config_variable("ca_bundle"),
            credentials=credentials,
            scoped_config=self._session.get_scoped_config(),
            client_config=config,
        )

    def _creator_of(self, service: str) -> _SharingCreator:
        """As `botocore.session.Session.create_client` makes one, kept for the next client."""
        session = self._session
        store = copy.copy(session.get_component("config_store"))
        endpoint = ConfiguredEndpointProvider(
            full_config=session.full_config,
            scoped_config=session.get_scoped_config(),
            client_name=service,
        )
        store.set_config_provider("endpoint_url", endpoint)
        for name in (*BOTOCORE_DEFAUT_SESSION_VARIABLES, "endpoint_url"):
            store.set_config_variable(name, store.get_config_variable(name))
        agent = session.get_component("user_agent_creator")
        agent.set_session_config(
            session_user_agent_name=session.user_agent_name,
            session_user_agent_version=session.user_agent_version,
            session_user_agent_extra=session.user_agent_extra,
        )
        return _SharingCreator(
            self._loader,
            self._endpoints,
            session.user_agent(),
            self._emitter,
            botocore.retryhandler,
            botocore.translate,
            session.get_component("response_parser_factory"),
            ClientExceptionsFactory(),
            store,
            user_agent_creator=agent,
        )


class _SharingCreator(ClientCreator):  # type: ignore[misc]  # botocore ships no types
    """Makes the model and the class of a service once: neither knows any credentials."""

    _model: Any = None
    _class: Any = None

    def _load_service_model(self, service_name: str, api_version: str | None = None) -> Any:
        if self._model is None:
            self._model = super()._load_service_model(service_name, api_version)
        return self._model

    def _create_client_class(self, service_name: str, service_model: Any) -> Any:
        if self._class is None:
            self._class = super()._create_client_class(service_name, service_model)
        return self._class


def _register_handlers(emitter: Any) -> None:
    """Keep botocore's own handlers, in its order, without those of services we never call."""
    places = {
        None: emitter.register,
        REGISTER_FIRST: emitter.register_first,
        REGISTER_LAST: emitter.register_last,
    }
    for name, handler, *place in BUILTIN_HANDLERS:
        event, *service = name.split(".")[:2]
        if event != "docs" and (not service or service[0] in _CONCERNED):
            places[place[0] if place else None](name, handler)
