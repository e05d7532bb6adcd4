"""Whose side has to act when something fails: ours, the customer's, or AWS's."""

from __future__ import annotations

from enum import StrEnum

from thirdsentry_pipeline.domain.errors import (
    ConfigurationError,
    RunFailedError,
    UnsafeTrustPolicyError,
)
from thirdsentry_pipeline.domain.evidence import ErrorCode


class Side(StrEnum):
    """Who can do something about a failure."""

    OURS = "ours"
    CUSTOMERS = "customer's"
    AWS = "AWS's"


_CUSTOMERS = frozenset(
    {
        ErrorCode.DENIED,
        ErrorCode.DENIED_BY_SCP,
        ErrorCode.ASSUME_ROLE_DENIED,
        ErrorCode.ACCOUNT_MISMATCH,
    }
)
_AWS = frozenset(
    {ErrorCode.THROTTLED, ErrorCode.NOT_READY, ErrorCode.TRANSIENT, ErrorCode.MALFORMED}
)


def side_of(code: ErrorCode) -> Side:
    """The side of a failed read or run: what the customer and AWS did not cause is ours."""
    if code in _CUSTOMERS:
        return Side.CUSTOMERS
    return Side.AWS if code in _AWS else Side.OURS


def side_of_error(error: Exception) -> Side | None:
    """The side of an expected failure; ``None`` where the request itself was refused."""
    if isinstance(error, RunFailedError):
        return side_of(error.code)
    if isinstance(error, UnsafeTrustPolicyError):
        return Side.CUSTOMERS
    return Side.OURS if isinstance(error, ConfigurationError) else None
