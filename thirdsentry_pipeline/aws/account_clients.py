"""Making the clients of account sessions: what holds no credentials is made once per process.

botocore builds a service's class, model and endpoint rules anew for every client and copies the
handlers of all its services into it; for the clients of an account that costs as much as many
calls. Here all that is made once, from no credentials, and handlers of other services are left
out. The client, its signer with the credentials, its handlers and its endpoint are made for it
alone.
"""

from __future__ import annotations

import copy
from typing import Any, NoReturn

import botocore.retryhandler
import botocore.session
import botocore.translate
from botocore.client import ClientCreator
from botocore.configprovider import (
    BOTOCORE_DEFAUT_SESSION_VARIABLES,
    ConfiguredEndpointProvider,
)
from botocore.context import get_context
from botocore.endpoint import Endpoint
from botocore.errorfactory import ClientExceptionsFactory
from botocore.handlers import BUILTIN_HANDLERS, REGISTER_FIRST, REGISTER_LAST
from botocore.hooks import HierarchicalEmitter
from botocore.regions import EndpointResolver, EndpointResolverBuiltins
from botocore.signers import RequestSigner
from botocore.useragent import UserAgentString

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
        self._emitter = _Emitter()
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
    """Makes once what knows no credentials: a service's model, class, rules and settings."""

    _model: Any = None
    _class: Any = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._parts: dict[tuple[Any, ...], dict[str, Any]] = {}

    def _load_service_model(self, service_name: str, api_version: str | None = None) -> Any:
        if self._model is None:
            self._model = super()._load_service_model(service_name, api_version)
        return self._model

    def _create_client_class(self, service_name: str, service_model: Any) -> Any:
        if self._class is None:
            self._class = super()._create_client_class(service_name, service_model)
        return self._class

    def _get_client_args(  # noqa: PLR0917 - botocore's signature
        self,
        service_model: Any,
        region_name: str,
        is_secure: bool,
        endpoint_url: str | None,
        verify: Any,
        credentials: Any,
        scoped_config: Any,
        client_config: Any,
        *rest: Any,
    ) -> dict[str, Any]:
        """The shared parts, made without credentials, and a client's own ones."""
        key = (region_name, is_secure, endpoint_url, verify, client_config)
        if key not in self._parts:
            made = super()._get_client_args(
                service_model,
                region_name,
                is_secure,
                endpoint_url,
                verify,
                None,
                scoped_config,
                client_config,
                *rest,
            )
            agent = _RememberingAgent(made["user_agent_creator"])
            self._parts[key] = {**made, "user_agent_creator": agent}
        parts = self._parts[key]
        return {**parts, **self._own_parts(parts, credentials)}

    def _own_parts(self, parts: dict[str, Any], credentials: Any) -> dict[str, Any]:
        emitter = copy.copy(self._event_emitter)
        shared = parts["request_signer"]
        signer = RequestSigner(
            parts["service_model"].service_id,
            shared.region_name,
            shared.signing_name,
            shared.signature_version,
            credentials,
            emitter,
        )
        endpoint = Endpoint(
            parts["endpoint"].host,
            parts["endpoint"]._endpoint_prefix,  # noqa: SLF001 - it has no other name
            emitter,
            self._response_parser_factory,
            _Nowhere(),
        )
        resolver = copy.copy(parts["endpoint_ruleset_resolver"])
        account = credentials.get_deferred_property("account_id") if credentials else None
        resolver._builtins = {  # noqa: SLF001 - as its constructor sets it
            **resolver._builtins,  # noqa: SLF001 - same
            EndpointResolverBuiltins.ACCOUNT_ID: account,
        }
        resolver._event_emitter = emitter  # noqa: SLF001 - same
        resolver._instance_cache = {}  # noqa: SLF001 - same
        return {
            "event_emitter": emitter,
            "request_signer": signer,
            "endpoint": endpoint,
            "endpoint_ruleset_resolver": resolver,
        }


class _Emitter(HierarchicalEmitter):  # type: ignore[misc]  # botocore ships no types
    """An emitter whose handlers are botocore's and ours: none needs its signature inspected."""

    def _verify_accept_kwargs(self, func: Any) -> None:
        """Every handler takes keywords."""


class _Nowhere:
    """Where a client without a transport sends: there is no way around the transport."""

    def send(self, _: Any) -> NoReturn:
        message = "the client of an account session has no transport"
        raise RuntimeError(message)

    def close(self) -> None:
        """Nothing is open."""


class _RememberingAgent(UserAgentString):  # type: ignore[misc]  # botocore ships no types
    """Builds the User-Agent once for each set of features: botocore does it twice for a call."""

    def __init__(self, agent: UserAgentString) -> None:
        self.__dict__.update(agent.__dict__)
        self._built: dict[frozenset[str], str] = {}

    def to_string(self) -> str:
        """The header's value for the features the call under way has used by now."""
        context = get_context()
        used = frozenset(context.features) if context is not None else frozenset()
        if used not in self._built:
            self._built[used] = super().to_string()
        return self._built[used]


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
