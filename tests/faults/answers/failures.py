"""Every way a call can fail, and what each must leave behind: the error classes' page as data."""

from dataclasses import dataclass
from http.client import IncompleteRead

from botocore.exceptions import ConnectionClosedError, EndpointConnectionError, ReadTimeoutError

from tests.faults.answers.documents import HOME
from tests.faults.answers.wire import Answer, error_answer

SCP = (
    "User: arn:aws:sts::111122223333:assumed-role/ThirdSentry/x is not authorized to perform: "
    "x:Y with an explicit deny in a service control policy"
)
CODES = {
    "denied": {"AccessDenied": 403, "AccessDeniedException": 400, "UnauthorizedOperation": 403},
    "region_disabled": {"OptInRequired": 403, "AuthFailure": 401, "RegionDisabledException": 403},
    "throttled": {
        "Throttling": 400,
        "ThrottlingException": 400,
        "TooManyRequestsException": 429,
        "RequestLimitExceeded": 503,
        "SlowDown": 503,
        "NeverHeardOf": 429,
    },
    "not_ready": {"ReportNotPresent": 410, "ReportInProgress": 404, "ReportExpired": 410},
    "transient": {
        "InternalFailure": 500,
        "InternalError": 500,
        "InternalServerErrorException": 500,
        "ServiceUnavailable": 503,
        "ServiceUnavailableException": 503,
        "NothingKnown": 500,
        "ExpiredToken": 403,
        "ExpiredTokenException": 400,
        "RequestExpired": 400,
    },
    "bug": {"SomethingNew": 400, "UnrecognizedClientException": 403, "InvalidClientTokenId": 403},
}
LINE = {
    "no connection": EndpointConnectionError(endpoint_url="https://x"),
    "no answer": ReadTimeoutError(endpoint_url="https://x", error="late"),
    "a reset": ConnectionClosedError(endpoint_url="https://x"),
    "a cut": IncompleteRead(b"", 10),
}


def failures(action):
    """Each failure of an action: its class and the answer."""
    for outcome, codes in CODES.items():
        for code, status in codes.items():
            yield outcome, error_answer(action, code, status=status)
    yield "denied_by_scp", error_answer(action, "AccessDenied", SCP, 403)
    yield "transient", Answer(status=503)
    yield "malformed", Answer(b"<html>All is well</html>")
    yield "malformed", Answer(b"")
    for failure in LINE.values():
        yield "transient", Answer(failure=failure)


@dataclass(frozen=True)
class Left:
    """What is left of one chain: the reading's status, its error, and where."""

    status: str = "ok"
    verdict: str | None = "pass"
    error: str | None = None
    unread: tuple[str, ...] = ()
    out_of: tuple[str, ...] = ()


def lost(outcome, region=None):
    """Nothing of the account is proven."""
    outcome = "denied" if outcome == "region_disabled" else outcome
    if region is None:
        return Left("denied" if outcome.startswith("denied") else "error", None, outcome)
    return Left("partial", None, outcome, (region,))


def kept(outcome, verdict="pass", region=None):
    """The verdict stands on what else was read."""
    error = "denied" if outcome == "region_disabled" else outcome
    return Left("ok", verdict, error, () if region is None else (region,))


def without(outcome, region, verdict, otherwise):
    """A region that is not in use leaves the scope; any other failure leaves ``otherwise``."""
    if outcome == "region_disabled":
        return Left("ok", verdict, out_of=(region,))
    return otherwise


REPORT = ("iam.GenerateCredentialReport", "iam.GetCredentialReport")
BESIDE_IT = ("iam.GetAccountSummary", "iam.ListVirtualMFADevices")
ALONE = {"iam.GetAccountPasswordPolicy": "policy", "s3-control.GetPublicAccessBlock": "block"}
IN_REGIONS = {
    "guardduty.ListDetectors": ("detector", "finding"),
    "guardduty.GetDetector": ("detector",),
    "guardduty.GetAdministratorAccount": ("detector",),
    "guardduty.ListFindings": ("finding",),
    "guardduty.GetFindings": ("finding",),
}


def consequences(action, region, outcome):
    """The chains that a failure touches in an account where everything passes."""
    read_another_way = Left() if outcome.startswith("denied") else lost(outcome)
    if action in REPORT:
        left = {"root": kept(outcome), "users": read_another_way}
    elif action in BESIDE_IT:
        left = {"root": kept(outcome)}
    elif action in ALONE:
        left = {ALONE[action]: lost(outcome)}
    elif action == "ec2.DescribeRegions":
        left = dict.fromkeys(("trail", "detector", "finding"), read_another_way)
    elif action == "cloudtrail.DescribeTrails":
        left = {"trail": without(outcome, region, "pass", kept(outcome, region=region))}
    elif action in IN_REGIONS:
        one = without(outcome, region, "pass", lost(outcome, region))
        left = dict.fromkeys(IN_REGIONS[action], one)
    else:
        left = {"trail": lost(outcome, HOME)}
    return left
