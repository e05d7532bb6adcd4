"""How each AWS service is spoken to: requests from parameters, answers from bytes.

All of it is botocore's own work and none of it knows credentials, so one botocore client per
service does it that has none and sends nothing: asked for an operation, it gives back the request
it would have sent. What no account has a part in is composed once per process.
"""

from __future__ import annotations

import threading
from contextvars import ContextVar
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import botocore.session
from botocore.awsrequest import create_request_object
from botocore.context import get_context
from botocore.credentials import CredentialResolver
from botocore.endpoint import convert_to_response_dict
from botocore.handlers import BUILTIN_HANDLERS, REGISTER_FIRST, REGISTER_LAST
from botocore.hooks import HierarchicalEmitter
from botocore.useragent import UserAgentString

from thirdsentry_pipeline.aws.signing import Composed
from thirdsentry_pipeline.aws.wire import check_answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botocore.config import Config

SERVICES = frozenset({"sts", "iam", "ec2", "cloudtrail", "guardduty", "s3control", "kms"})
"""What account sessions and the tenants' keys need, as botocore names the services."""

ERROR = 300
"""From this status on an answer tells a failure."""

_IN_EVENTS = {"s3control": "s3-control"}
_CONCERNED = frozenset({"*", *(_IN_EVENTS.get(name, name) for name in SERVICES)})
_REGION: ContextVar[str | None] = ContextVar("where a request goes, if not home", default=None)


class Dialects:
    """The dialects of the services; safe in several threads at once."""

    def __init__(self, loader: Any, config: Config, endpoint_url: str | None) -> None:
        self._session = botocore.session.Session(include_builtin_handlers=False)
        self._session.register_component("data_loader", loader)
        self._session.register_component("credential_provider", CredentialResolver([]))
        self._session.register_component("event_emitter", _emitter())
        self._config = config
        self._endpoint_url = endpoint_url
        self._made: dict[tuple[str, str], Dialect] = {}
        # botocore sessions are not safe to create clients from in several threads at once.
        self._lock = threading.Lock()

    def of(self, service: str, home: str) -> Dialect:
        """The dialect of one of `SERVICES`, for the partition of the region ``home``.

        Raises:
            ValueError: it is a service whose handlers are not registered here.
        """
        if service not in SERVICES:
            message = f"account sessions have no client of {service}"
            raise ValueError(message)
        with self._lock:
            if (service, home) not in self._made:
                client = self._session.create_client(
                    service, region_name=home, config=self._config, endpoint_url=self._endpoint_url
                )
                self._made[service, home] = Dialect(client, home)
            return self._made[service, home]


class Dialect:
    """One service's requests and answers; safe in several threads at once."""

    def __init__(self, client: Any, home: str) -> None:
        """``client`` is botocore's of the region ``home``, without credentials.

        From now on it sends nothing.
        """
        self._client = client
        self._composed: dict[Any, Composed] = {}
        self.note_attempt = client._endpoint._update_retries_context  # noqa: SLF001 - no other name
        client._endpoint = _Notepad(client._endpoint.host)  # noqa: SLF001 - same
        agent = _RememberingAgent(client._user_agent_creator)  # noqa: SLF001 - same
        client._user_agent_creator = agent  # noqa: SLF001 - same
        client.meta.events.register("before-endpoint-resolution", _to_its_region)
        self.home = home
        self.service_model = client.meta.service_model
        self.service_id: str = self.service_model.service_id.hyphenize()
        self.most_attempts: int = client.meta.config.retries["total_max_attempts"]
        self.exceptions = client.exceptions

    def knows(self, method: str) -> bool:
        """Whether the service has the operation, as Python spells it."""
        return method in self._client.meta.method_to_api_mapping

    def compose(self, method: str, parameters: Mapping[str, Any], region: str) -> Composed:
        """The request of an operation in a region of the dialect's partition.

        Raises:
            botocore.exceptions.ParamValidationError: the model knows no such parameters.
        """
        # Flags and numbers alone say nothing of an account: such a request is the same for all.
        if not all(isinstance(value, (bool, int)) for value in parameters.values()):
            return self._compose(method, parameters, region)
        key = (method, region, *sorted(parameters.items()))
        if key not in self._composed:
            self._composed[key] = self._compose(method, parameters, region)
        return self._composed[key]

    def _compose(self, method: str, parameters: Mapping[str, Any], region: str) -> Composed:
        token = _REGION.set(None if region == self.home else region)
        try:
            operation, made = getattr(self._client, method)(**parameters)
        finally:
            _REGION.reset(token)
        context = made["context"]
        signer = self._client._request_signer  # noqa: SLF001 - it has no other name
        version = signer._choose_signer(operation.name, "standard", context)  # noqa: SLF001 - same
        request = create_request_object(made)
        whole = request.prepare()
        signing = context.get("signing", {})
        return Composed(
            operation=operation,
            action=f"{self.service_id}.{operation.name}",
            method=request.method,
            url=whole.url,
            headers=dict(request.headers.items()),
            body=request.body,
            length=whole.headers.get("Content-Length"),
            context=context,
            signature_version=version,
            signing_name=signing.get("signing_name") or signer.signing_name,
            signing_region=signing.get("region") or signer.region_name,
        )

    def parse(self, operation: Any, answer: Any) -> dict[str, Any]:
        """What an answer says, errors included, once it is what its model promises.

        Raises:
            MalformedAnswerError: it is not.
            botocore.parsers.ResponseParserError: it can't be read.
        """
        response = convert_to_response_dict(answer, operation)
        check_answer(operation_model=operation, response_dict=response)
        parser = self._client._response_parser  # noqa: SLF001 - it has no other name
        parsed: dict[str, Any] = parser.parse(response, operation.output_shape)
        if answer.status_code >= ERROR:
            code = parsed.get("Error", {}).get("Code")
            shape = None if code is None else self.service_model.shape_for_error_code(code)
            if shape is not None:
                parsed.update(parser.parse(response, shape))
        return parsed


class _Notepad:
    """Where a dialect's client sends: the request goes back to who asked for it."""

    def __init__(self, host: str) -> None:
        self.host = host

    def make_request(self, operation: Any, made: dict[str, Any]) -> Any:
        """Answer an operation with itself and its request."""
        return SimpleNamespace(status_code=200), (operation, made)

    def close(self) -> None:
        """Nothing is open."""


class _RememberingAgent(UserAgentString):  # type: ignore[misc]  # botocore ships no types
    """Builds the User-Agent once for each set of features: it takes a third of a request's time."""

    def __init__(self, agent: UserAgentString) -> None:
        self.__dict__.update(agent.__dict__)
        self._built: dict[frozenset[str], str] = {}

    def to_string(self) -> str:
        """The header's value for the features the request has used by now."""
        context = get_context()
        used = frozenset(context.features) if context is not None else frozenset()
        if used not in self._built:
            self._built[used] = super().to_string()
        return self._built[used]


class _Emitter(HierarchicalEmitter):  # type: ignore[misc]  # botocore ships no types
    """An emitter whose handlers are botocore's and ours: none needs its signature inspected."""

    def _verify_accept_kwargs(self, func: Any) -> None:
        """Every handler takes keywords."""


def _to_its_region(builtins: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
    """As botocore's own S3 client follows buckets to their regions."""
    region = _REGION.get()
    if region is not None:
        builtins["AWS::Region"] = region
        context.setdefault("signing", {})["region"] = region


def _emitter() -> _Emitter:
    """Keep botocore's own handlers, in its order, without those of services we never call.

    Its own emitter also looks up old names of services for every event.
    """
    emitter = _Emitter()
    places = {
        None: emitter.register,
        REGISTER_FIRST: emitter.register_first,
        REGISTER_LAST: emitter.register_last,
    }
    for name, handler, *place in BUILTIN_HANDLERS:
        event, *service = name.split(".")[:2]
        if event != "docs" and (not service or service[0] in _CONCERNED):
            places[place[0] if place else None](name, handler)
    return emitter
