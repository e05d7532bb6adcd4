import threading

import pytest

from tests.unit.aws.canned import xml
from tests.unit.aws.test_credential_report import GOOD, content, state
from thirdsentry_pipeline.aws import collect
from thirdsentry_pipeline.aws.collect import collect_account
from thirdsentry_pipeline.domain.evidence import ErrorCode, EvidenceType, ReadStatus, Verdict

REGIONS = "".join(
    f"<item><regionName>{name}</regionName><optInStatus>opt-in-not-required</optInStatus></item>"
    for name in ("eu-west-1", "us-east-1")
)


@pytest.fixture
def account(aws):
    """Answers of an account with root MFA, one user with MFA, no trail and no GuardDuty."""
    aws.answer("iam.GenerateCredentialReport", state("COMPLETE"))
    aws.answer("iam.GetCredentialReport", content(GOOD))
    aws.answer(
        "iam.GetAccountSummary",
        xml(
            "GetAccountSummary",
            "<SummaryMap><entry><key>AccountMFAEnabled</key><value>1</value></entry>"
            "<entry><key>AccountPasswordPresent</key><value>1</value></entry></SummaryMap>",
        ),
    )
    aws.answer(
        "iam.ListVirtualMFADevices",
        xml("ListVirtualMFADevices", "<IsTruncated>false</IsTruncated><VirtualMFADevices/>"),
    )
    aws.deny("iam.GetAccountPasswordPolicy", "NoSuchEntity", status=404)
    aws.deny("s3-control.GetPublicAccessBlock", "NoSuchPublicAccessBlockConfiguration", status=404)
    aws.answer(
        "ec2.DescribeRegions",
        f"<DescribeRegionsResponse><regionInfo>{REGIONS}</regionInfo></DescribeRegionsResponse>",
    )
    aws.answer("cloudtrail.DescribeTrails", {"trailList": []})
    aws.answer("guardduty.ListDetectors", {"detectorIds": []})
    return aws


def statuses(collected):
    return {kind: reading.read_status for kind, reading in collected.readings.items()}


def test_every_type_is_judged_from_one_report_and_one_listing(
    account, session, reads_class, monkeypatch
):
    monkeypatch.setattr(collect, "Reads", reads_class)
    collected = collect_account(session, tuple(EvidenceType))
    assert {kind: reading.verdict for kind, reading in collected.readings.items()} == {
        EvidenceType.ROOT_MFA: Verdict.PASS,
        EvidenceType.MFA_COVERAGE: Verdict.PASS,
        EvidenceType.PASSWORD_POLICY: Verdict.FAIL,
        EvidenceType.CLOUDTRAIL_LOGGING: Verdict.FAIL,
        EvidenceType.S3_PUBLIC_ACCESS_BLOCK: Verdict.FAIL,
        EvidenceType.GUARDDUTY_STATUS: Verdict.FAIL,
        EvidenceType.GUARDDUTY_FINDINGS: Verdict.NOT_APPLICABLE,
    }
    assert list(collected.readings) == list(EvidenceType)
    assert len(account.called("iam.GetCredentialReport")) == 1
    assert len(account.called("guardduty.ListDetectors")) == 2
    assert collected.report()["user"].tolist() == ["<root_account>", "a"]


NEEDED = {
    EvidenceType.ROOT_MFA: {
        "iam.GenerateCredentialReport",
        "iam.GetCredentialReport",
        "iam.GetAccountSummary",
        "iam.ListVirtualMFADevices",
    },
    EvidenceType.MFA_COVERAGE: {"iam.GenerateCredentialReport", "iam.GetCredentialReport"},
    EvidenceType.PASSWORD_POLICY: {"iam.GetAccountPasswordPolicy"},
    EvidenceType.CLOUDTRAIL_LOGGING: {"ec2.DescribeRegions", "cloudtrail.DescribeTrails"},
    EvidenceType.S3_PUBLIC_ACCESS_BLOCK: {"s3-control.GetPublicAccessBlock"},
    EvidenceType.GUARDDUTY_STATUS: {"ec2.DescribeRegions", "guardduty.ListDetectors"},
    EvidenceType.GUARDDUTY_FINDINGS: {"ec2.DescribeRegions", "guardduty.ListDetectors"},
}


@pytest.mark.parametrize("kind", EvidenceType)
def test_a_type_alone_calls_only_what_it_needs(account, session, kind):
    collected = collect_account(session, [kind])
    assert statuses(collected) == {kind: ReadStatus.OK}
    assert {action for action, _, _ in account.requests} == NEEDED[kind]


def test_waived_regions_are_not_asked(account, session):
    collected = collect_account(
        session, [EvidenceType.GUARDDUTY_STATUS], waived_regions=["eu-west-1"]
    )
    payload = collected.readings[EvidenceType.GUARDDUTY_STATUS].payload
    assert payload["regions_waived"] == ["eu-west-1"]
    assert [
        region for action, region, _ in account.requests if action == "guardduty.ListDetectors"
    ] == ["us-east-1"]


def test_a_defect_in_one_rule_costs_only_its_type(account, session, monkeypatch):
    def broken(_facts):
        raise ZeroDivisionError

    monkeypatch.setattr(collect, "judge_password_policy", broken)
    readings = collect_account(session, tuple(EvidenceType)).readings
    assert readings[EvidenceType.PASSWORD_POLICY].error_code is ErrorCode.BUG
    assert readings[EvidenceType.PASSWORD_POLICY].read_status is ReadStatus.ERROR
    assert sum(reading.read_status is ReadStatus.OK for reading in readings.values()) == 6


def test_the_deadline_leaves_only_the_slow_type_unread(account, session):
    release = threading.Event()

    def sleep(_seconds):
        release.wait(20)

    account._answers["iam.GenerateCredentialReport", None].appendleft((200, state("STARTED")))
    collected = collect_account(session, tuple(EvidenceType), sleep=sleep, deadline_seconds=4)
    release.set()
    unread = {kind for kind, status in statuses(collected).items() if status is not ReadStatus.OK}
    assert unread == {EvidenceType.MFA_COVERAGE}
    assert collected.readings[EvidenceType.MFA_COVERAGE].error_code is ErrorCode.TRANSIENT
    assert collected.report is None


def test_a_failure_of_the_regions_leaves_every_regional_type_unread(account, session):
    account._answers["ec2.DescribeRegions", None].clear()
    account.deny("ec2.DescribeRegions", "AuthFailure")
    readings = collect_account(session, tuple(EvidenceType)).readings
    for kind in (
        EvidenceType.CLOUDTRAIL_LOGGING,
        EvidenceType.GUARDDUTY_STATUS,
        EvidenceType.GUARDDUTY_FINDINGS,
    ):
        assert readings[kind].read_status is ReadStatus.DENIED
    assert readings[EvidenceType.ROOT_MFA].read_status is ReadStatus.OK


def test_no_types_make_no_calls(aws, session):
    assert collect_account(session, []).readings == {}
    assert aws.requests == []
