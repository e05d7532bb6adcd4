import json
import logging
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs
from uuid import UUID

import pytest

from tests.unit.aws.canned import ACCOUNT, ROLE, xml
from thirdsentry_pipeline.aws.role_session import (
    open_role_session,
    probe_trust,
    session_name,
)
from thirdsentry_pipeline.aws.sessions import PlatformAws, SessionCredentials
from thirdsentry_pipeline.domain.errors import (
    ConfigurationError,
    RunFailedError,
    UnsafeTrustPolicyError,
)
from thirdsentry_pipeline.domain.evidence import ErrorCode, EvidenceType
from thirdsentry_pipeline.domain.identifiers import RoleArn

ORGANIZATION = "64b7f3a2c1d4e5f60718293a"
RUN = UUID("3f0c9a52-6b1e-4d7a-9c55-0a8e2f4b7d10")
EXTERNAL_ID = "canary-external-id"
OPENED = xml(
    "AssumeRole",
    "<Credentials><AccessKeyId>ASIACANARY</AccessKeyId><SecretAccessKey>canary-secret"
    "</SecretAccessKey><SessionToken>canary-token</SessionToken>"
    "<Expiration>2026-11-23T02:15:00Z</Expiration></Credentials>",
)


def identity(account=ACCOUNT):
    return xml("GetCallerIdentity", f"<Account>{account}</Account><Arn>a</Arn><UserId>u</UserId>")


class Pauses:
    def __init__(self):
        self.now = datetime(2026, 11, 23, tzinfo=UTC)
        self.taken = []

    def clock(self):
        return self.now

    def sleep(self, seconds):
        self.taken.append(seconds)
        self.now += timedelta(seconds=seconds)


def open_session(aws, pauses=None, role=ROLE, **more):
    pauses = pauses or Pauses()
    return open_role_session(
        aws, role, EXTERNAL_ID, ORGANIZATION, RUN, sleep=pauses.sleep, clock=pauses.clock, **more
    )


def probe(aws):
    pauses = Pauses()
    probe_trust(aws, ROLE, EXTERNAL_ID, ORGANIZATION, RUN, sleep=pauses.sleep, clock=pauses.clock)


def sent(request):
    return {key: value for key, (value,) in parse_qs(request[2].body.decode()).items()}


def test_the_role_is_asked_for_with_all_that_limits_it(aws):
    aws.answer("sts.AssumeRole", OPENED)
    aws.answer("sts.GetCallerIdentity", identity())
    with open_session(aws, types=(EvidenceType.PASSWORD_POLICY,)) as session:
        assert session.account_id == ACCOUNT
        assert (session.partition, session.default_region) == ("aws", "us-east-1")
    asked = sent(aws.called("sts.AssumeRole")[0])
    assert asked["RoleArn"] == str(ROLE)
    assert asked["ExternalId"] == EXTERNAL_ID
    assert asked["DurationSeconds"] == "900"
    assert asked["RoleSessionName"] == f"thirdsentry-{ORGANIZATION}-{str(RUN)[:27]}"
    (statement,) = json.loads(asked["Policy"])["Statement"]
    assert statement["Action"] in (["iam:GetAccountPasswordPolicy"], "iam:GetAccountPasswordPolicy")


@pytest.mark.parametrize(
    ("partition", "region", "host"),
    [
        ("aws", "us-east-1", "sts.us-east-1.amazonaws.com"),
        ("aws-us-gov", "us-gov-west-1", "sts.us-gov-west-1.amazonaws.com"),
        ("aws-cn", "cn-north-1", "sts.cn-north-1.amazonaws.com.cn"),
    ],
)
def test_the_partition_of_the_arn_decides_the_endpoint(aws, partition, region, host):
    aws.answer("sts.AssumeRole", OPENED)
    aws.answer("sts.GetCallerIdentity", identity())
    role = RoleArn.parse(f"arn:{partition}:iam::{ACCOUNT}:role/R")
    with open_session(aws, role=role) as session:
        assert session.default_region == region
        assert (
            all(name.startswith(region.split("-", 1)[0]) for name in session.regions_of_partition)
            or partition == "aws"
        )
    assert {request.url for _, _, request in aws.requests} == {f"https://{host}/"}


def test_session_names_fit_sts():
    name = session_name("odd organization/é" * 9, RUN)
    assert len(name) == 64
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


def test_a_new_role_may_take_seconds_to_appear(aws):
    pauses = Pauses()
    aws.deny("sts.AssumeRole", "AccessDenied")
    aws.deny("sts.AssumeRole", "AccessDenied")
    aws.answer("sts.AssumeRole", OPENED)
    aws.answer("sts.GetCallerIdentity", identity())
    open_session(aws, pauses).close()
    assert len(pauses.taken) == 2


def test_a_refused_role_is_given_up_in_ten_seconds_naming_every_cause(aws):
    pauses = Pauses()
    aws.deny("sts.AssumeRole", "AccessDenied")
    with pytest.raises(RunFailedError) as caught:
        open_session(aws, pauses)
    assert caught.value.code is ErrorCode.ASSUME_ROLE_DENIED
    assert len(aws.called("sts.AssumeRole")) == 5
    assert sum(pauses.taken) <= 10
    text = str(caught.value)
    for cause in ("deleted", "trust policy", "external id", str(ROLE), "thirdsentry reauth"):
        assert cause in text
    assert EXTERNAL_ID not in text


def test_slow_refusals_are_not_repeated_beyond_ten_seconds(aws):
    aws.deny("sts.AssumeRole", "AccessDenied")
    times = iter(range(0, 100, 6))
    with pytest.raises(RunFailedError):
        open_role_session(
            aws,
            ROLE,
            EXTERNAL_ID,
            ORGANIZATION,
            RUN,
            sleep=lambda _: None,
            clock=lambda: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=next(times)),
        )
    assert len(aws.called("sts.AssumeRole")) == 2


@pytest.mark.parametrize(
    ("code", "status", "outcome"),
    [
        ("Throttling", 400, ErrorCode.THROTTLED),
        ("InternalFailure", 500, ErrorCode.TRANSIENT),
        ("RegionDisabledException", 403, ErrorCode.TRANSIENT),
        ("InvalidClientTokenId", 403, ErrorCode.BUG),
        ("MalformedPolicyDocument", 400, ErrorCode.BUG),
    ],
)
def test_any_other_failure_is_no_refusal_and_not_repeated(aws, code, status, outcome):
    aws.deny("sts.AssumeRole", code, status=status)
    with pytest.raises(RunFailedError) as caught:
        open_session(aws)
    assert caught.value.code is outcome
    assert len(aws.called("sts.AssumeRole")) == 1


@pytest.mark.parametrize(
    "body", ["", "<", "<html/>", xml("AssumeRole", ""), OPENED.replace("canary-token", "")]
)
def test_an_answer_without_credentials_is_malformed(aws, body):
    aws.answer("sts.AssumeRole", body)
    with pytest.raises(RunFailedError) as caught:
        open_session(aws)
    assert caught.value.code is ErrorCode.MALFORMED
    assert "canary" not in str(caught.value)


def test_credentials_of_another_account_open_nothing(aws):
    aws.answer("sts.AssumeRole", OPENED)
    aws.answer("sts.GetCallerIdentity", identity("999988887777"))
    with pytest.raises(RunFailedError) as caught:
        open_session(aws)
    assert caught.value.code is ErrorCode.ACCOUNT_MISMATCH


@pytest.mark.parametrize("body", [identity("x"), xml("GetCallerIdentity", ""), "<"])
def test_an_account_that_can_not_be_confirmed_opens_nothing(aws, body):
    aws.answer("sts.AssumeRole", OPENED)
    aws.answer("sts.GetCallerIdentity", body)
    with pytest.raises(RunFailedError) as caught:
        open_session(aws)
    assert caught.value.code is ErrorCode.MALFORMED


def test_the_platform_without_credentials_is_no_tenants_failure(monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(ConfigurationError, match="AWS_ACCESS_KEY_ID"):
        open_session(PlatformAws(endpoint_url="http://127.0.0.1:1", region="us-east-1"))


def test_the_platform_without_region_says_which_setting(monkeypatch, tmp_path):
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(ConfigurationError, match="AWS_DEFAULT_REGION"):
        PlatformAws().client("kms")


def test_nothing_secret_shows(aws, caplog):
    aws.answer("sts.AssumeRole", OPENED)
    aws.answer("sts.GetCallerIdentity", identity())
    logging.getLogger("botocore").setLevel(logging.NOTSET)
    PlatformAws(region="us-east-1")
    with caplog.at_level(logging.DEBUG), open_session(aws) as session:
        shown = (
            repr(session)
            + repr(vars(session))
            + repr(SessionCredentials("ASIACANARY", "canary-secret", "canary-token"))
        )
    assert "canary" not in (shown + caplog.text).lower()


def test_loggers_that_write_credentials_stay_quiet():
    logging.getLogger("urllib3").setLevel(logging.DEBUG)
    logging.getLogger("botocore").setLevel(logging.ERROR)
    PlatformAws(region="us-east-1")
    assert logging.getLogger("urllib3").level == logging.INFO
    assert logging.getLogger("botocore").level == logging.ERROR
    logging.getLogger("botocore").setLevel(logging.INFO)


# --- probing the trust policy


def test_a_role_that_opens_only_with_its_id_is_safe(aws):
    aws.answer("sts.AssumeRole", OPENED)
    aws.deny("sts.AssumeRole", "AccessDenied")
    aws.answer("sts.GetCallerIdentity", identity())
    probe(aws)
    ids = [sent(call).get("ExternalId") for call in aws.called("sts.AssumeRole")]
    assert ids[:2] == [EXTERNAL_ID, None]
    assert ids[2] not in (None, EXTERNAL_ID)
    assert len(ids) == 3


@pytest.mark.parametrize(
    ("answers", "how"),
    [
        (["open", "open"], "without an external id"),
        (["open", "deny", "open"], "with a wrong external id"),
    ],
)
def test_a_role_that_opens_otherwise_is_refused_as_unsafe(aws, answers, how):
    for answer in answers:
        if answer == "open":
            aws.answer("sts.AssumeRole", OPENED)
        else:
            aws.deny("sts.AssumeRole", "AccessDenied")
    aws.answer("sts.GetCallerIdentity", identity())
    with pytest.raises(UnsafeTrustPolicyError, match=how) as caught:
        probe(aws)
    assert "sts:ExternalId" in str(caught.value)


def test_a_probe_that_failed_otherwise_proves_nothing(aws):
    aws.answer("sts.AssumeRole", OPENED)
    aws.deny("sts.AssumeRole", "Throttling", status=400)
    aws.answer("sts.GetCallerIdentity", identity())
    with pytest.raises(RunFailedError) as caught:
        probe(aws)
    assert caught.value.code is ErrorCode.THROTTLED
