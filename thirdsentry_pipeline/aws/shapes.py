"""Checks on what AWS answered: a value of the wrong shape is no evidence of anything.

Every function returns the value typed or raises :class:`MalformedAnswerError` naming the
member, never quoting what stood there (it is the customer's data).
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from thirdsentry_pipeline.aws.errors import AnswerTooLargeError, MalformedAnswerError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_TEXT_LIMIT = 4096
_NUMBER_LIMIT = 2**31
_UNUSABLE = re.compile("[\x00\ud800-\udfff]")
_ACCOUNT_ID = re.compile(r"[0-9]{12}")
_REGION = re.compile(r"[a-z]{2,8}(-[a-z0-9]{2,12}){1,4}-[0-9]{1,2}")


def member(answer: Any, name: str) -> Any:
    """A member AWS always sends."""
    if not isinstance(answer, dict) or name not in answer:
        message = f"{name} is missing"
        raise MalformedAnswerError(message)
    return answer[name]


def record(answer: Any, name: str) -> Mapping[str, Any]:
    """A structure AWS always sends."""
    value = member(answer, name)
    if not isinstance(value, dict):
        raise _wrong(name, "a structure")
    return value


def records(answer: Any, name: str, limit: int = 100_000) -> Sequence[Mapping[str, Any]]:
    """A list of structures AWS always sends, even when it is empty."""
    value = items(answer, name, limit)
    if not all(isinstance(item, dict) for item in value):
        raise _wrong(name, "a list of structures")
    return value


def items(answer: Any, name: str, limit: int = 100_000) -> Sequence[Any]:
    """A list AWS always sends, even when it is empty; more than ``limit`` items are too many."""
    value = member(answer, name)
    if not isinstance(value, list):
        raise _wrong(name, "a list")
    if len(value) > limit:
        message = f"{name} has more than {limit} items"
        raise AnswerTooLargeError(message)
    return value


def text(answer: Any, name: str) -> str:
    """A text that is not empty and that a database can hold (no NUL, no lone surrogate)."""
    value = member(answer, name)
    if not isinstance(value, str) or not 0 < len(value) <= _TEXT_LIMIT or _UNUSABLE.search(value):
        raise _wrong(name, "a text")
    return value


def optional_text(answer: Any, name: str) -> str | None:
    """A text that may be absent or empty."""
    if not isinstance(answer, dict):
        raise _wrong(name, "a member of a structure")
    if answer.get(name) is None or answer[name] == "":
        return None
    return text(answer, name)


def texts(answer: Any, name: str) -> tuple[str, ...]:
    """A list of texts."""
    return tuple(text({name: item}, name) for item in items(answer, name))


def account_id(answer: Any, name: str) -> str:
    """An account id, 12 digits."""
    value = text(answer, name)
    if not _ACCOUNT_ID.fullmatch(value):
        raise _wrong(name, "an account id")
    return value


def region_name(answer: Any, name: str) -> str:
    """A region name. It becomes part of a host name, so nothing else gets through."""
    value = text(answer, name)
    if not _REGION.fullmatch(value):
        raise _wrong(name, "a region")
    return value


def flag(answer: Any, name: str) -> bool:
    """A boolean AWS always sends."""
    value = member(answer, name)
    if not isinstance(value, bool):
        raise _wrong(name, "true or false")
    return value


def optional_flag(answer: Any, name: str) -> bool:
    """A boolean that counts as false when absent."""
    return name in answer and flag(answer, name)


def optional_number(answer: Mapping[str, Any], name: str) -> int | None:
    """A count, 0 or more, that may be absent."""
    if answer.get(name) is None:
        return None
    value = answer[name]
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _NUMBER_LIMIT:
        return value
    raise _wrong(name, "a count")


def decimal_number(answer: Any, name: str, *, at_most: float) -> float:
    """A finite number from 0 to ``at_most``."""
    value = member(answer, name)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _wrong(name, "a number")
    if not (math.isfinite(value) and 0 <= value <= at_most):
        raise _wrong(name, f"a number from 0 to {at_most:g}")
    return float(value)


def moment(answer: Any, name: str) -> datetime:
    """A time AWS always sends, in UTC."""
    value = member(answer, name)
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise _wrong(name, "a time") from None
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise _wrong(name, "a time with its zone")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise _wrong(name, "a time in the calendar") from None


def optional_moment(answer: Mapping[str, Any], name: str) -> datetime | None:
    """A time that may be absent or empty, in UTC."""
    if answer.get(name) is None or answer[name] == "":
        return None
    return moment(answer, name)


def without_repeats(values: Iterable[str], what: str) -> tuple[str, ...]:
    """The values as they came. A repeated one means that paging moved and another is missing."""
    seen = tuple(values)
    if len(set(seen)) != len(seen):
        message = f"{what} are repeated"
        raise MalformedAnswerError(message)
    return seen


def _wrong(name: str, expected: str) -> MalformedAnswerError:
    return MalformedAnswerError(f"{name} is not {expected}")
