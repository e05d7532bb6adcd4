"""An answer must be what its model promises, before botocore parses it.

botocore forgives: an empty object is an empty list to it, a body that is no JSON is an answer in
which everything is absent, any word but ``true`` is false, of two members with one name it takes
either, and an entry of a map without a value gets the one before. Each would turn rubbish into
"there are none" or "it is on". AWS's clients in typed languages can't be sent such answers, so
refusing them costs nothing.
"""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from typing import Any
from xml.etree import ElementTree as ET

from thirdsentry_pipeline.aws.errors import MalformedAnswerError

_JSON_PROTOCOLS = frozenset({"json", "rest-json"})
_KINDS = {"structure": dict, "map": dict, "list": list, "boolean": bool, "string": str}
_NUMBERS = frozenset({"integer", "long", "float", "double"})
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)", re.ASCII)
_TEXTS = {
    "boolean": re.compile(r"true|false"),
    "integer": re.compile(r"-?\d{1,18}", re.ASCII),
    "long": re.compile(r"-?\d{1,18}", re.ASCII),
    "float": re.compile(r"-?\d{1,18}(\.\d+)?", re.ASCII),
    "double": re.compile(r"-?\d{1,18}(\.\d+)?", re.ASCII),
    "timestamp": _TIME,
}


def check_answer(operation_model: Any, response_dict: dict[str, Any], **_: Any) -> None:
    """A handler of botocore's ``before-parse`` event.

    Members that the model does not know are AWS's to add, and ``null`` is absence. In JSON a name
    twice is refused even where the model does not know it: which of the two counts is left open
    by the format, so what wrote it is broken, and its other members are not to be believed.

    Raises:
        MalformedAnswerError: the body is not of the operation's format, a value is of another
            kind than its model says, or a name comes twice.
    """
    if operation_model.has_streaming_output:
        return
    body = response_dict["body"]
    is_json = operation_model.service_model.resolved_protocol in _JSON_PROTOCOLS
    if not is_json and b"<!DOCTYPE" in body:
        message = "the answer declares a document type"
        raise MalformedAnswerError(message)
    if response_dict["status_code"] >= HTTPStatus.MULTIPLE_CHOICES:
        return
    if is_json:
        _check_json(operation_model.output_shape, body)
    else:
        _check_xml(operation_model.output_shape, body)


def _wrong(shape: Any) -> MalformedAnswerError:
    return MalformedAnswerError(f"{shape.name} is not a {shape.type_name}")


# --- JSON -----------------------------------------------------------------------------


def _check_json(shape: Any, body: bytes) -> None:
    try:
        answer = json.loads(body, object_pairs_hook=_once, parse_constant=_refuse)
        if not isinstance(answer, dict):
            message = "the answer is not a JSON object"
            raise MalformedAnswerError(message)
        if shape is not None:
            _check_value(shape, answer)
    except (ValueError, RecursionError):
        message = "the answer is not JSON"
        raise MalformedAnswerError(message) from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        message = "a member came twice"
        raise MalformedAnswerError(message)
    return members


def _refuse(_word: str) -> None:
    message = "a number is not finite"
    raise MalformedAnswerError(message)


def _check_value(shape: Any, value: Any) -> None:
    if value is None or getattr(shape, "is_document_type", False):
        return
    kind = shape.type_name
    if not _is_of(kind, value):
        raise _wrong(shape)
    if kind == "list":
        for item in value:
            _check_value(shape.member, item)
    elif kind == "structure":
        for name, member in shape.members.items():
            _check_value(member, value.get(member.serialization.get("name", name)))
    elif kind == "map":
        for item in value.values():
            _check_value(shape.value, item)


def _is_of(kind: str, value: Any) -> bool:
    if kind in _NUMBERS:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(value, _KINDS.get(kind, object))


# --- XML ------------------------------------------------------------------------------


def _check_xml(shape: Any, body: bytes) -> None:
    if shape is None or _is_in_the_head(shape):
        return
    try:
        root = ET.fromstring(body)  # noqa: S314 - no document type, so no entities to expand
    except (ET.ParseError, ValueError, LookupError):
        message = "the answer is not XML"
        raise MalformedAnswerError(message) from None
    payload = shape.serialization.get("payload")
    if payload is not None:
        shape = shape.members[payload]
    elif "resultWrapper" in shape.serialization:
        results = _named(root).get(shape.serialization["resultWrapper"], [])
        if len(results) != 1:
            message = "the answer has not one result"
            raise MalformedAnswerError(message)
        root = results[0]
    _check_node(shape, root)


def _is_in_the_head(shape: Any) -> bool:
    """Whether every member comes in the headers, as S3 answers a put: the body is empty then."""
    return all("location" in member.serialization for member in shape.members.values())


def _named(node: ET.Element) -> dict[str, list[ET.Element]]:
    """The children of a node by their names, without namespaces."""
    found: dict[str, list[ET.Element]] = {}
    for child in node:
        found.setdefault(child.tag.rpartition("}")[2], []).append(child)
    return found


def _check_node(shape: Any, node: ET.Element) -> None:
    if shape.type_name == "structure":
        _check_structure(shape, node)
    elif shape.type_name == "list":
        for item in node:
            _check_node(shape.member, item)
    elif shape.type_name == "map":
        _check_map(shape, node)
    else:
        form = _TEXTS.get(shape.type_name)
        if len(node) or (form is not None and not form.fullmatch(node.text or "")):
            raise _wrong(shape)


def _check_structure(shape: Any, node: ET.Element) -> None:
    found = _named(node)
    for name, member in shape.members.items():
        nodes = found.get(member.serialization.get("name", name), [])
        if len(nodes) > 1 and not member.serialization.get("flattened"):
            message = f"{name} came twice"
            raise MalformedAnswerError(message)
        for one in nodes:
            _check_node(member.member if member.serialization.get("flattened") else member, one)


def _check_map(shape: Any, node: ET.Element) -> None:
    keys: set[str] = set()
    for entry in node:
        found = _named(entry)
        if {name: len(nodes) for name, nodes in found.items()} != {"key": 1, "value": 1}:
            raise _wrong(shape)
        _check_node(shape.key, found["key"][0])
        key = found["key"][0].text or ""
        if key in keys:
            message = f"a key of {shape.name} came twice"
            raise MalformedAnswerError(message)
        keys.add(key)
        _check_node(shape.value, found["value"][0])
