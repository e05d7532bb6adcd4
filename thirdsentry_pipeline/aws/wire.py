"""A JSON answer must have the containers its model promises, before botocore parses it.

botocore reads an empty object or an empty text as an empty list, and a body that is no JSON as
an answer in which everything is absent. Either would turn rubbish into "there are none".
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from thirdsentry_pipeline.aws.errors import MalformedAnswerError

_JSON_PROTOCOLS = frozenset({"json", "rest-json"})


def check_answer(operation_model: Any, response_dict: dict[str, Any], **_: Any) -> None:
    """A handler of botocore's ``before-parse`` event.

    Scalars are left to those who use them: services are freer with them than their models say.

    Raises:
        MalformedAnswerError: the body is no JSON object, or a container is of another kind.
    """
    if (
        operation_model.service_model.resolved_protocol not in _JSON_PROTOCOLS
        or operation_model.has_streaming_output
        or response_dict["status_code"] >= HTTPStatus.MULTIPLE_CHOICES
    ):
        return
    try:
        answer = json.loads(response_dict["body"])
        if not isinstance(answer, dict):
            message = "the answer is not a JSON object"
            raise MalformedAnswerError(message)
        if operation_model.output_shape is not None:
            _check(operation_model.output_shape, answer)
    except (ValueError, RecursionError):
        message = "the answer is not JSON"
        raise MalformedAnswerError(message) from None


def _check(shape: Any, value: Any) -> None:
    if value is None:
        return
    if shape.type_name in {"structure", "map"} and not isinstance(value, dict):
        raise _wrong(shape)
    if shape.type_name == "list":
        if not isinstance(value, list):
            raise _wrong(shape)
        for item in value:
            _check(shape.member, item)
    elif shape.type_name == "structure":
        for name, member in shape.members.items():
            _check(member, value.get(member.serialization.get("name", name)))
    elif shape.type_name == "map":
        for item in value.values():
            _check(shape.value, item)


def _wrong(shape: Any) -> MalformedAnswerError:
    return MalformedAnswerError(f"{shape.name} is not a {shape.type_name}")
