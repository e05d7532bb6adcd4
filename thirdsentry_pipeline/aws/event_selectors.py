"""Event selectors of a CloudTrail trail, basic and advanced, in one form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from thirdsentry_pipeline.aws import shapes
from thirdsentry_pipeline.aws.errors import MalformedAnswerError
from thirdsentry_pipeline.domain.facts import EventSelector

if TYPE_CHECKING:
    from collections.abc import Mapping

ReadWrite: TypeAlias = Literal["All", "ReadOnly", "WriteOnly"]

_READ_WRITE: dict[str, ReadWrite] = {
    "All": "All",
    "ReadOnly": "ReadOnly",
    "WriteOnly": "WriteOnly",
}
_READ_ONLY_FIELD: dict[frozenset[str], ReadWrite] = {
    frozenset({"true"}): "ReadOnly",
    frozenset({"false"}): "WriteOnly",
    frozenset({"true", "false"}): "All",
}
_OPERATORS = ("Equals", "NotEquals", "StartsWith", "NotStartsWith", "EndsWith", "NotEndsWith")


def parse_selectors(answer: Mapping[str, Any]) -> tuple[EventSelector, ...]:
    """The selectors of a ``GetEventSelectors`` answer, in AWS's order."""
    basic = shapes.records(answer, "EventSelectors") if answer.get("EventSelectors") else ()
    advanced = (
        shapes.records(answer, "AdvancedEventSelectors")
        if answer.get("AdvancedEventSelectors")
        else ()
    )
    return (*map(_basic, basic), *map(_advanced, advanced))


def _basic(item: Mapping[str, Any]) -> EventSelector:
    read_write = _READ_WRITE.get(shapes.text(item, "ReadWriteType"))
    if read_write is None:
        message = "ReadWriteType is none of the three AWS documents"
        raise MalformedAnswerError(message)
    excluded: tuple[str, ...] = ()
    if item.get("ExcludeManagementEventSources") is not None:
        excluded = shapes.texts(item, "ExcludeManagementEventSources")
    return EventSelector(
        management=shapes.flag(item, "IncludeManagementEvents"),
        read_write=read_write,
        excluded_sources=tuple(sorted(set(excluded))),
    )


def _advanced(item: Mapping[str, Any]) -> EventSelector:
    """Management events are those of ``eventCategory``; any other field narrows them.

    ``readOnly`` splits them into reads and writes, and ``eventSource NotEquals`` is what the
    basic form calls excluded sources. A condition we can't read exactly counts as narrowing,
    which can never prove more than the trail records.
    """
    fields: dict[str, dict[str, tuple[str, ...]]] = {}
    for selector in shapes.records(item, "FieldSelectors"):
        name = shapes.text(selector, "Field")
        if name in fields:
            message = "a field is selected twice"
            raise MalformedAnswerError(message)
        fields[name] = {
            operator: shapes.texts(selector, operator)
            for operator in _OPERATORS
            if selector.get(operator)
        }
    category = fields.pop("eventCategory", {})
    if set(category) != {"Equals"}:
        message = "eventCategory is not selected by Equals"
        raise MalformedAnswerError(message)
    if "Management" not in category["Equals"]:
        return EventSelector(management=False, read_write="All")

    read_only = fields.pop("readOnly", {"Equals": ("true", "false")})
    read_write = _READ_ONLY_FIELD.get(frozenset(read_only.get("Equals", ())))
    source = fields.pop("eventSource", {"NotEquals": ()})
    narrowed = (
        bool(fields)
        or set(source) != {"NotEquals"}
        or set(read_only) != {"Equals"}
        or read_write is None
    )
    return EventSelector(
        management=True,
        read_write=read_write or "All",
        excluded_sources=tuple(sorted(set(source.get("NotEquals", ())))),
        narrowed=narrowed,
    )
