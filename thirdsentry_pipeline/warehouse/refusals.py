"""Turns the database's refusals into the product's sentences."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from psycopg import errors
from sqlalchemy.exc import DBAPIError

from thirdsentry_pipeline.domain.errors import ThirdSentryError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def refusals_as_sentences(
    sentences: dict[type[errors.Error], str] | None = None,
) -> Iterator[None]:
    """Raise a refusal by one of our triggers as its own sentence, or one of ``sentences``.

    Anything else passes unchanged: only what the schema forbids on purpose has words for people.
    """
    try:
        yield
    except DBAPIError as failure:
        original = failure.orig
        for kind, sentence in (sentences or {}).items():
            if isinstance(original, kind):
                raise ThirdSentryError(sentence) from None
        if isinstance(original, errors.RestrictViolation | errors.InvalidParameterValue):
            refusal = (original.diag.message_primary or "the warehouse refuses this").rstrip(".")
            raise ThirdSentryError(refusal[0].upper() + refusal[1:] + ".") from None
        raise
