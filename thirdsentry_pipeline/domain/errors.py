"""Errors a person is meant to read: one sentence, an exit code, never a secret."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from thirdsentry_pipeline.domain.evidence import ErrorCode


class ThirdSentryError(Exception):
    """Base of every expected failure; its text is one sentence for the person at the terminal."""

    exit_code = 1


class InputError(ThirdSentryError):
    """What was typed is malformed or names nothing we know; the text shows a good example."""

    exit_code = 2


class ConfigurationError(ThirdSentryError):
    """A setting is missing or does not work; the text names the setting to change."""


class UnsafeTrustPolicyError(ThirdSentryError):
    """The customer's role opens without the right external id; the text names what is missing."""


class MalformedPayloadError(ThirdSentryError):
    """A payload holds something that JSON, jsonb or a fingerprint can't carry faithfully.

    Raised for NaN and infinities, numbers beyond 2**53 - 1, NUL characters (Postgres jsonb
    refuses them), lone surrogates and types that are not JSON. The text names the place in the
    payload, never the value. A read that ends here is recorded as ``malformed``.
    """


class RunFailedError(ThirdSentryError):
    """A connector run can't bring evidence; ``code`` is what the run row and the audit row keep."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code
