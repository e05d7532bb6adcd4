"""What time it is at STS, whose clock decides whether a signature is accepted."""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, NoReturn

from botocore.exceptions import BotoCoreError

from thirdsentry_pipeline.aws.errors import AnswerTooLargeError, DeadlinePassedError
from thirdsentry_pipeline.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from datetime import datetime

    from thirdsentry_pipeline.aws.sessions import PlatformAws


def time_of_sts(platform: PlatformAws) -> datetime | None:
    """The date of one answer of STS, in UTC; ``None`` when there was no answer with a date.

    The question is not signed: STS refuses it with its date, whether or not there are
    credentials and however wrong the clock that would have signed.
    """
    try:
        client = platform.anonymous_client("sts")
        client.meta.events.register("before-parse.sts.GetCallerIdentity", _take_date)
        client.get_caller_identity()
    except _AnsweredError as answer:
        return answer.date()
    except (BotoCoreError, AnswerTooLargeError, DeadlinePassedError, ConfigurationError):
        return None
    return None


class _AnsweredError(Exception):
    """STS answered; what it says beside the date is of no interest."""

    def date(self) -> datetime | None:
        try:
            return parsedate_to_datetime(str(self)).astimezone(UTC)
        except ValueError:
            return None


def _take_date(response_dict: dict[str, Any], **_: Any) -> NoReturn:
    raise _AnsweredError(response_dict["headers"].get("Date", ""))
