"""What was sent, read as strictly as AWS documents it; whatever is otherwise is a doubt."""

import json
import re
from xml.etree import ElementTree as ET

NOT_IN_USE = {"OptInRequired", "AuthFailure", "RegionDisabledException", "RegionDisabled"}


class DoubtError(Exception):
    """It is not proven."""


class OutOfUseError(Exception):
    """The region is not in use."""


class RefusedError(DoubtError):
    """AWS answered with an error; ``code`` is its own word."""

    def __init__(self, code):
        super().__init__(code)
        self.code = code


def need(condition):
    if not condition:
        raise DoubtError


def xml(body):
    try:
        root = ET.fromstring(body)  # noqa: S314 - what it is fed is the subject
    except (ET.ParseError, ValueError, LookupError):
        raise DoubtError from None
    for node in root.iter():
        node.tag = node.tag.rpartition("}")[2]
    return root


def child(node, name):
    found = [one for one in node if one.tag == name]
    need(len(found) == 1)
    return found[0]


def maybe(node, name):
    return child(node, name) if any(one.tag == name for one in node) else None


def scalar(node):
    need(len(node) == 0)
    return node.text or ""


def flag(node):
    need(scalar(node) in {"true", "false"})
    return scalar(node) == "true"


def number(node):
    need(re.fullmatch(r"-?[0-9]{1,10}", scalar(node)))
    return int(node.text)


def once(pairs):
    need(len({name for name, _ in pairs}) == len(pairs))
    return dict(pairs)


def refuse(_word):
    raise DoubtError


def document(body):
    try:
        value = json.loads(body.decode(), object_pairs_hook=once, parse_constant=refuse)
    except (ValueError, RecursionError):
        raise DoubtError from None
    need(isinstance(value, dict))
    return value


def text(value):
    need(isinstance(value, str) and value)
    return value


def items(value):
    need(isinstance(value, list))
    return value


def struct(value):
    need(isinstance(value, dict))
    return value


class Line:
    """The answers by what was asked."""

    def __init__(self, served):
        self.served = served

    def pages(self, action, region=None, name=None):
        """The bodies of all pages that were sent, in order."""
        found = [
            (key, answer)
            for key, answer in self.served.items()
            if key[0] == action and region in {None, key[1]} and name in {None, key[2]}
        ]
        need(found)
        need(len(found) == len({key[3] for key, _ in found}))
        return [body_of(action, answer) for _, answer in found]

    def one(self, action, region=None, name=None):
        (body,) = self.pages(action, region, name)
        return body

    def query(self, action, name=None):
        """The results of a query-protocol action, page by page."""
        operation = action.partition(".")[2]
        return [child(xml(body), f"{operation}Result") for body in self.pages(action, name=name)]

    def listed(self, action, inner, name=None):
        """The items of an IAM list that was read to its end."""
        results = self.query(action, name)
        ends = [flag(child(result, "IsTruncated")) for result in results]
        need(ends == [True] * (len(ends) - 1) + [False])
        return [item for result in results for item in child(result, inner)]

    def tokens(self, action, region, inner):
        """The texts of a GuardDuty list that was read to its end."""
        found = [document(body) for body in self.pages(action, region)]
        for page in found[:-1]:
            text(page.get("nextToken"))
        need(found[-1].get("nextToken") in (None, ""))
        return [text(item) for page in found for item in items(page.get(inner))]


def body_of(action, answer):
    need(answer.failure is None)
    need(answer.received is not None)
    if 200 <= answer.status < 300:
        return answer.received
    code = error_code(action, answer)
    if code in NOT_IN_USE:
        raise OutOfUseError
    raise RefusedError(code)


def error_code(action, answer):
    if action.startswith(("guardduty", "cloudtrail")):
        body = document(answer.received)
        code = body.get("__type")
        head = {name.lower(): value for name, value in answer.headers.items()}
        if "x-amzn-query-error" in head:
            code = head["x-amzn-query-error"].split(";")[0]
        if action.startswith("guardduty"):
            code = head.get("x-amzn-errortype", code)
        return text(code).split(":")[0].rpartition("#")[2]
    root = xml(answer.received)
    inside = maybe(root, "Errors")
    error = child(root if inside is None else inside, "Error")
    return scalar(child(error, "Code"))
