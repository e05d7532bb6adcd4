"""What a failed AWS call means: one class per failure, tested in a fixed order."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from botocore.exceptions import (
    ClientError,
    HTTPClientError,
    IncompleteReadError,
    PaginationError,
    ResponseStreamingError,
)
from botocore.exceptions import (
    ConnectionError as BotoConnectionError,
)
from botocore.parsers import ResponseParserError

from thirdsentry_pipeline.domain.errors import RunFailedError
from thirdsentry_pipeline.domain.evidence import ErrorCode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_REGION_DISABLED = frozenset({"OptInRequired", "AuthFailure", "RegionDisabled"})
_DENIED = frozenset({"UnauthorizedOperation", "Forbidden", "403"})
_SCP_WORDS = "explicit deny in a service control policy"
THROTTLE_CODES = frozenset(
    {
        "Throttling",
        "Throttled",
        "RequestThrottled",
        "TooManyRequests",
        "ProvisionedThroughputExceeded",
        "RequestLimitExceeded",
        "BandwidthLimitExceeded",
        "LimitExceeded",
        "SlowDown",
        "PriorRequestNotComplete",
        "EC2Throttled",
        "429",
    }
)
_NOT_READY = frozenset({"ReportNotPresent", "ReportInProgress", "ReportExpired"})
_TRANSIENT = frozenset(
    {
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "ServiceFailure",
        "ServiceUnavailable",
        "Unavailable",
        "RequestTimeout",
        # The session outlived its 900 s: the next run opens a new one.
        "ExpiredToken",
        "RequestExpired",
    }
)


@dataclass(frozen=True, slots=True)
class RegionDisabled:
    """AWS answered that the account does not use this region: it leaves the scope."""


class MalformedAnswerError(Exception):
    """AWS answered with something the API does not promise; the text never quotes the answer."""


class AnswerTooLargeError(MalformedAnswerError):
    """An answer is over a cap. It counts as unread, because a cut one would be a false claim."""


class DeadlinePassedError(Exception):
    """The time set for a call or for the whole account is over."""


def error_code_of(error: ClientError) -> str:
    """AWS's own code without the ``Exception`` that only some services append."""
    code = error.response.get("Error", {}).get("Code")
    return code.removesuffix("Exception") if isinstance(code, str) else ""


def classify(error: BaseException) -> ErrorCode | RegionDisabled:
    """Name the failure. The order is part of the contract: earlier classes win.

    ``BUG`` is everything we did not foresee; it is recorded like any other failure.
    """
    if isinstance(error, ClientError):
        return _classify_answer(error)
    if isinstance(error, RunFailedError):
        return error.code
    if isinstance(
        error,
        (
            DeadlinePassedError,
            BotoConnectionError,
            HTTPClientError,
            IncompleteReadError,
            ResponseStreamingError,
            OSError,
        ),
    ):
        return ErrorCode.TRANSIENT
    if isinstance(error, (MalformedAnswerError, ResponseParserError, PaginationError)):
        return ErrorCode.MALFORMED
    if any(frame.f_globals.get("__name__") == "botocore.parsers" for frame in _frames(error)):
        return ErrorCode.MALFORMED
    return ErrorCode.BUG


def _classify_answer(error: ClientError) -> ErrorCode | RegionDisabled:
    code = error_code_of(error)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") or 0
    if code in _REGION_DISABLED:
        return RegionDisabled()
    if code.startswith("AccessDenied") or code in _DENIED:
        message = str(error.response.get("Error", {}).get("Message", ""))
        return ErrorCode.DENIED_BY_SCP if _SCP_WORDS in message else ErrorCode.DENIED
    if code in THROTTLE_CODES or status == HTTPStatus.TOO_MANY_REQUESTS:
        return ErrorCode.THROTTLED
    if code in _NOT_READY:
        return ErrorCode.NOT_READY
    if code in _TRANSIENT or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return ErrorCode.TRANSIENT
    return ErrorCode.BUG


def _frames(error: BaseException) -> Iterator[FrameType]:
    trace = error.__traceback__
    while trace is not None:
        yield trace.tb_frame
        trace = trace.tb_next
