"""Answers as AWS writes them: from a document in botocore's names to bytes, by the service model.

Between the two stands a tree that can hold what no document can (a key twice, raw bytes in the
place of a value, text in the place of a list), so that an answer can be spoilt at any place.
"""

import json
from dataclasses import dataclass, field
from functools import cache
from xml.sax.saxutils import escape

import botocore.session

SERVICES = {"s3-control": "s3control"}


class Pairs(list):
    """A structure: pairs of a name and a value, in order, names perhaps repeated."""


class Items(list):
    """A list; ``tag`` is what XML calls each item."""

    tag = "member"


@dataclass
class Raw:
    """Bytes that stand in the answer as they are."""

    content: bytes


@dataclass(frozen=True)
class Answer:
    """What the endpoint sends: a body and its head, or an exception in the place of both."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    failure: Exception | None = None

    @property
    def received(self):
        """The bytes up to the promised length; ``None`` when fewer came."""
        promised = self.headers.get("Content-Length", "")
        if not promised.isdigit():
            return self.body
        return None if int(promised) > len(self.body) else self.body[: int(promised)]


@cache
def operation_model(action):
    """botocore's model of an action such as ``iam.ListUsers``."""
    service, operation = action.split(".")
    model = _session().get_service_model(SERVICES.get(service, service))
    return model.operation_model(operation)


@cache
def _session():
    return botocore.session.Session()


@cache
def regions_of_partition():
    return sorted(_session().get_available_regions("ec2"))


def protocol_of(action):
    return operation_model(action).service_model.resolved_protocol


def tree_of(action, document):
    """The tree of an answer; for S3 Control it is the payload's own."""
    shape = operation_model(action).output_shape
    in_xml = "json" not in protocol_of(action)
    if "payload" in shape.serialization:
        name = shape.serialization["payload"]
        return _node(shape.members[name], document[name], in_xml)
    return _node(shape, document, in_xml)


def _node(shape, value, in_xml):
    if shape.type_name == "structure" and isinstance(value, dict):
        members = shape.members
        return Pairs(
            (members[name].serialization.get("name", name), _node(members[name], item, in_xml))
            for name, item in value.items()
        )
    if shape.type_name == "map" and isinstance(value, dict):
        pairs = Pairs((name, _node(shape.value, item, in_xml)) for name, item in value.items())
        if in_xml:
            entries = Items(Pairs([("key", name), ("value", item)]) for name, item in pairs)
            entries.tag = "entry"
            return entries
        return pairs
    if shape.type_name == "list" and isinstance(value, list):
        items = Items(_node(shape.member, item, in_xml) for item in value)
        items.tag = shape.member.serialization.get("name", "member")
        return items
    return value


def answer_of(action, tree, status=200):
    """The answer whose body is the tree."""
    return Answer(bytes_of(action, tree), status, headers_of(action))


def headers_of(action):
    json_type = (
        "application/x-amz-json-1.1" if protocol_of(action) == "json" else "application/json"
    )
    is_json = "json" in protocol_of(action)
    return {"Content-Type": json_type if is_json else "text/xml;charset=UTF-8"}


def bytes_of(action, tree):
    model = operation_model(action)
    protocol = protocol_of(action)
    if "json" in protocol:
        return as_json(tree)
    inner = as_xml(tree)
    if protocol == "rest-xml":
        return _element(model.output_shape.serialization["payload"], inner)
    if protocol == "ec2":
        return _element(f"{model.name}Response", b"<requestId>r</requestId>" + inner)
    result = _element(f"{model.name}Result", inner)
    metadata = b"<ResponseMetadata><RequestId>r</RequestId></ResponseMetadata>"
    return _element(f"{model.name}Response", result + metadata)


def as_json(value):
    if isinstance(value, Raw):
        return value.content
    if isinstance(value, Pairs):
        return b"{" + b",".join(json.dumps(k).encode() + b":" + as_json(v) for k, v in value) + b"}"
    if isinstance(value, list):
        return b"[" + b",".join(map(as_json, value)) + b"]"
    return json.dumps(value).encode()


def as_xml(value):
    if isinstance(value, Raw):
        return value.content
    if isinstance(value, Pairs):
        return b"".join(_element(name, as_xml(item)) for name, item in value)
    if isinstance(value, list):
        tag = getattr(value, "tag", "member")
        return b"".join(_element(tag, as_xml(item)) for item in value)
    if isinstance(value, bool):
        return b"true" if value else b"false"
    return b"" if value is None else escape(str(value)).encode("utf-8", "surrogatepass")


def _element(tag, inner):
    name = str(tag).encode("utf-8", "surrogatepass")
    return b"<%s>%s</%s>" % (name, inner, name)


def error_answer(action, code, message="no", status=400):
    """An error in the form of the action's protocol."""
    protocol = protocol_of(action)
    if "json" in protocol:
        body = json.dumps({"__type": code, "message": message}).encode()
        return Answer(body, status, {**headers_of(action), "x-amzn-ErrorType": code})
    parts = Pairs([("Code", code), ("Message", message)])
    if protocol == "ec2":
        body = as_xml(Pairs([("Response", Pairs([("Errors", Pairs([("Error", parts)]))]))]))
    else:
        body = as_xml(Pairs([("ErrorResponse", Pairs([("Error", parts)]))]))
    return Answer(body, status, headers_of(action))
