"""Naming whose side failed, in front of the failure's own sentence."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import SQLAlchemyError

from thirdsentry_pipeline.cli.errors import describe
from thirdsentry_pipeline.domain.errors import ThirdSentryError
from thirdsentry_pipeline.domain.sides import Side, side_of_error


@contextmanager
def naming_the_side() -> Iterator[None]:
    """Put in front of a failure's sentence whose side it is on.

    Raises:
        ThirdSentryError: the same sentence with its side; others pass unchanged.
    """
    try:
        yield
    except SQLAlchemyError as error:
        raise on_side(Side.OURS, error) from error
    except ThirdSentryError as error:
        side = side_of_error(error)
        if side is None:
            raise
        raise on_side(side, error) from error


def on_side(side: Side, error: Exception) -> ThirdSentryError:
    """The error to raise instead, with its own exit code (1)."""
    where = "our" if side is Side.OURS else f"the {side}" if side is Side.CUSTOMERS else side
    return ThirdSentryError(f"On {where} side: {describe(error)[0]}")
