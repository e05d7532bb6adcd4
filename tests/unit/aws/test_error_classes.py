import pytest
from botocore.exceptions import (
    ClientError,
    EndpointConnectionError,
    ParamValidationError,
    ReadTimeoutError,
)

from thirdsentry_pipeline.aws.errors import (
    AnswerTooLargeError,
    DeadlinePassedError,
    MalformedAnswerError,
    RegionDisabled,
    classify,
)
from thirdsentry_pipeline.domain.errors import RunFailedError
from thirdsentry_pipeline.domain.evidence import ErrorCode


def answered(code, message="m", status=400):
    response = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(response, "SomeCall")


@pytest.mark.parametrize("code", ["OptInRequired", "AuthFailure", "RegionDisabledException"])
def test_a_region_not_in_use_is_no_failure(code):
    assert classify(answered(code, status=403)) == RegionDisabled()


@pytest.mark.parametrize(
    "code", ["AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403"]
)
def test_refusals_are_denied(code):
    assert classify(answered(code, status=403)) is ErrorCode.DENIED


def test_a_service_control_policy_is_told_apart():
    message = "User: x is not authorized: with an explicit deny in a service control policy"
    assert classify(answered("AccessDenied", message)) is ErrorCode.DENIED_BY_SCP


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("Throttling", 400),
        ("ThrottlingException", 400),
        ("TooManyRequestsException", 429),
        ("RequestLimitExceeded", 503),
        ("LimitExceeded", 409),
        ("SlowDown", 503),
        ("Whatever", 429),
    ],
)
def test_throttles_win_over_server_errors(code, status):
    assert classify(answered(code, status=status)) is ErrorCode.THROTTLED


@pytest.mark.parametrize("code", ["ReportNotPresent", "ReportInProgress", "ReportExpired"])
def test_a_report_in_the_making_is_not_ready(code):
    assert classify(answered(code, status=410)) is ErrorCode.NOT_READY


@pytest.mark.parametrize(
    "error",
    [
        answered("Anything", status=500),
        answered("InternalFailure"),
        answered("ServiceUnavailableException"),
        answered("ExpiredTokenException", status=403),
        EndpointConnectionError(endpoint_url="https://x"),
        ReadTimeoutError(endpoint_url="https://x"),
        ConnectionResetError(),
        DeadlinePassedError("late"),
        RunFailedError(ErrorCode.TRANSIENT, "The sync was told to stop."),
    ],
    ids=repr,
)
def test_what_passes_by_itself_is_transient(error):
    assert classify(error) is ErrorCode.TRANSIENT


@pytest.mark.parametrize("error", [MalformedAnswerError("x"), AnswerTooLargeError("x")])
def test_answers_we_refuse_are_malformed(error):
    assert classify(error) is ErrorCode.MALFORMED


@pytest.mark.parametrize(
    "error",
    [
        answered("ValidationError"),
        answered("InvalidClientTokenId", status=403),
        answered(""),
        ClientError({}, "SomeCall"),
        ClientError({"Error": {"Code": 7}}, "SomeCall"),
        ParamValidationError(report="x"),
        KeyError("x"),
    ],
    ids=repr,
)
def test_everything_else_is_a_bug(error):
    assert classify(error) is ErrorCode.BUG


def test_denial_outranks_the_status_it_came_with():
    assert classify(answered("AccessDenied", status=500)) is ErrorCode.DENIED
