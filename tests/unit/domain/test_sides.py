"""Every failure has one side that can act; a refused request has none."""

import pytest

from thirdsentry_pipeline.domain.errors import (
    ConfigurationError,
    InputError,
    RunFailedError,
    ThirdSentryError,
    UnsafeTrustPolicyError,
)
from thirdsentry_pipeline.domain.evidence import ErrorCode
from thirdsentry_pipeline.domain.sides import Side, side_of, side_of_error

EXPECTED = {
    Side.CUSTOMERS: {"denied", "denied_by_scp", "assume_role_denied", "account_mismatch"},
    Side.AWS: {"throttled", "not_ready", "transient", "malformed"},
    Side.OURS: {"bug", "key_unavailable", "revoked_during_run", "no_live_connection"},
}


@pytest.mark.parametrize("side", Side)
def test_each_error_code_is_on_one_side(side):
    assert {code.value for code in ErrorCode if side_of(code) is side} == EXPECTED[side]


@pytest.mark.parametrize(
    ("error", "side"),
    [
        (RunFailedError(ErrorCode.KEY_UNAVAILABLE, "x"), Side.OURS),
        (RunFailedError(ErrorCode.ASSUME_ROLE_DENIED, "x"), Side.CUSTOMERS),
        (UnsafeTrustPolicyError("x"), Side.CUSTOMERS),
        (ConfigurationError("x"), Side.OURS),
        (InputError("x"), None),
        (ThirdSentryError("x"), None),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_is_on_the_side_of_its_cause(error, side):
    assert side_of_error(error) is side
