"""Follow a list to its end, or fail: a list that stops early would be a false claim."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from thirdsentry_pipeline.aws import shapes
from thirdsentry_pipeline.aws.errors import AnswerTooLargeError, MalformedAnswerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_MOST_PAGES = 5_000


@dataclass(frozen=True, slots=True)
class Style:
    """How an API pages: the member to send, the one that answers, and IAM's truncation flag."""

    send: str
    answer: str
    more: str | None = None


IAM = Style(send="Marker", answer="Marker", more="IsTruncated")
NEXT_TOKEN = Style(send="NextToken", answer="NextToken")


def pages(
    call: Callable[..., Any], style: Style, parameters: Mapping[str, Any]
) -> Iterator[Mapping[str, Any]]:
    """Yield every answer until the service says that there is no more.

    Raises:
        MalformedAnswerError: a token came twice, a page promises more without saying where,
            or there are more than 5,000 pages.
    """
    seen: set[str] = set()
    position: dict[str, str] = {}
    for _ in range(_MOST_PAGES):
        answer = call(**parameters, **position)
        if not isinstance(answer, dict):
            message = "the answer is not a structure"
            raise MalformedAnswerError(message)
        yield answer
        token = shapes.optional_text(answer, style.answer)
        if style.more is not None and not shapes.flag(answer, style.more):
            return
        if token is None:
            if style.more is None:
                return
            message = f"{style.more} is true and there is no {style.answer}"
            raise MalformedAnswerError(message)
        if token in seen:
            message = f"{style.answer} came twice"
            raise MalformedAnswerError(message)
        seen.add(token)
        position = {style.send: token}
    message = f"more than {_MOST_PAGES} pages"
    raise AnswerTooLargeError(message)
