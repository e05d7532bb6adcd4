import pytest

from tests.integration.aws.conftest import REGIONS
from tests.waiting import retry_at_once
from thirdsentry_pipeline.aws.collect import collect_account
from thirdsentry_pipeline.domain.evidence import ErrorCode, EvidenceType, ReadStatus, Verdict

pytestmark = pytest.mark.integration
ALL = tuple(EvidenceType)
TRAILS = EvidenceType.CLOUDTRAIL_LOGGING
STATUS = EvidenceType.GUARDDUTY_STATUS
FINDINGS = EvidenceType.GUARDDUTY_FINDINGS
# Which types an action failing everywhere leaves without a verdict, and what they become.
NEEDS = {
    "iam:GenerateCredentialReport": set(),
    "iam:GetCredentialReport": set(),
    "iam:GetAccountSummary": set(),
    "iam:ListVirtualMFADevices": set(),
    "iam:GetAccountPasswordPolicy": {EvidenceType.PASSWORD_POLICY},
    "s3:GetAccountPublicAccessBlock": {EvidenceType.S3_PUBLIC_ACCESS_BLOCK},
    "cloudtrail:DescribeTrails": {TRAILS},
    "cloudtrail:GetTrailStatus": {TRAILS},
    "cloudtrail:GetEventSelectors": {TRAILS},
    "guardduty:ListDetectors": {STATUS, FINDINGS},
    "guardduty:GetDetector": {STATUS},
    "guardduty:GetAdministratorAccount": {STATUS},
    "guardduty:ListFindings": {FINDINGS},
}


def collect(account, types=ALL, **more):
    with account.open(types=types) as session:
        return collect_account(session, types, sleep=lambda _: None, **more)


def verdicts(collected):
    return {kind: reading.verdict for kind, reading in collected.readings.items()}


def test_a_healthy_account_passes_everything(healthy_account):
    collected = collect(healthy_account)
    assert set(verdicts(collected).values()) == {Verdict.PASS}
    assert not any(reading.regions_unread for reading in collected.readings.values())
    assert collected.readings[EvidenceType.ROOT_MFA].payload["mfa_kind"] == "virtual"
    assert collected.readings[STATUS].payload["regions_in_scope"] == list(REGIONS)


def test_a_bare_account_fails_what_it_lacks(account):
    assert verdicts(collect(account)) == {
        EvidenceType.ROOT_MFA: Verdict.FAIL,
        EvidenceType.MFA_COVERAGE: Verdict.NOT_APPLICABLE,
        EvidenceType.PASSWORD_POLICY: Verdict.FAIL,
        TRAILS: Verdict.FAIL,
        EvidenceType.S3_PUBLIC_ACCESS_BLOCK: Verdict.FAIL,
        STATUS: Verdict.FAIL,
        FINDINGS: Verdict.NOT_APPLICABLE,
    }


def test_calls_are_few_and_do_not_grow_with_users(account):
    account.add_trail()
    collect(account)  # the first report is made while we wait, which takes one more call
    few = collect(account)
    account.add_users(60, mfa=1)
    account.admin.clear_calls()
    many = collect(account)
    assert many.readings[EvidenceType.MFA_COVERAGE].payload["users_with_password"] == 60
    assert few.api_calls == many.api_calls
    assert many.api_calls <= 50
    assert len(many.readings[STATUS].payload["regions_in_scope"]) == 17
    # AssumeRole is recorded for the account of the role, so nothing escapes the count.
    assert many.api_calls == len(account.calls())


@pytest.mark.parametrize("action", NEEDS)
@pytest.mark.parametrize(
    ("error_code", "outcome"),
    [
        ("AccessDenied", ErrorCode.DENIED),
        ("ServiceUnavailable", ErrorCode.TRANSIENT),
        ("Unheard", ErrorCode.BUG),
    ],
)
def test_one_failing_action_costs_exactly_the_types_that_need_it(
    healthy_account, action, error_code, outcome, monkeypatch
):
    retry_at_once(monkeypatch)
    account = healthy_account
    account.admin.inject_fault(account.account_id, action=action, error_code=error_code)
    readings = collect(account).readings
    affected = set(NEEDS[action])
    if "CredentialReport" in action and outcome is not ErrorCode.DENIED:
        affected = {EvidenceType.MFA_COVERAGE}
    for kind, reading in readings.items():
        if kind in affected:
            assert reading.verdict is None
            assert reading.error_code is outcome
            assert (reading.read_status is ReadStatus.DENIED) == (
                outcome is ErrorCode.DENIED and action not in PARTIAL
            )
        else:
            assert reading.verdict is Verdict.PASS


# DescribeTrails answered: something was read, only the trail's details were refused.
PARTIAL = {"cloudtrail:GetTrailStatus", "cloudtrail:GetEventSelectors"}


@pytest.mark.parametrize(
    "action", ["guardduty:ListDetectors", "guardduty:GetDetector", "guardduty:ListFindings"]
)
def test_one_refused_region_is_named_and_nothing_passes(healthy_account, action):
    account = healthy_account
    account.admin.inject_fault(account.account_id, "eu-west-3", action, "AccessDenied")
    readings = collect(account).readings
    for kind in NEEDS[action]:
        assert readings[kind].read_status is ReadStatus.PARTIAL
        assert readings[kind].regions_unread == ("eu-west-3",)
    assert readings[TRAILS].verdict is Verdict.PASS


def test_a_region_not_in_use_leaves_the_scope(healthy_account):
    account = healthy_account
    account.admin.inject_fault(account.account_id, "eu-west-3", "guardduty:*", "OptInRequired")
    readings = collect(account).readings
    assert readings[STATUS].verdict is Verdict.PASS
    assert "eu-west-3" not in readings[STATUS].payload["regions_in_scope"]
    assert "eu-west-3" in readings[TRAILS].payload["regions_in_scope"]


def test_denied_regions_are_assumed_from_the_partition(healthy_account):
    account = healthy_account
    account.admin.inject_fault(
        account.account_id, action="ec2:DescribeRegions", error_code="UnauthorizedOperation"
    )
    reading = collect(account, (TRAILS,)).readings[TRAILS]
    assert reading.verdict is Verdict.PASS
    assert reading.payload["scope"] == "assumed"
    # The partition has many more; AWS says of each that it is not in use.
    assert reading.payload["regions_in_scope"] == list(REGIONS)
    assert len(account.calls(action="cloudtrail:DescribeTrails")) > 17


def test_the_fallback_reads_the_same_coverage_user_by_user(account):
    account.add_users(3, mfa=2)
    account.client("iam").create_user(UserName="robot")
    whole = collect(account, (EvidenceType.MFA_COVERAGE,)).readings[EvidenceType.MFA_COVERAGE]
    account.admin.inject_fault(account.account_id, action="iam:GenerateCredentialReport")
    made_up = collect(account, (EvidenceType.MFA_COVERAGE,)).readings[EvidenceType.MFA_COVERAGE]
    for name in ("users_with_password", "users_with_mfa", "users_without_mfa"):
        assert made_up.payload[name] == whole.payload[name]
    assert made_up.source_generated_at is None


@pytest.mark.parametrize("effect", ["reset", "truncate", "malformed"])
@pytest.mark.parametrize("action", NEEDS)
def test_a_spoilt_answer_never_becomes_a_verdict(healthy_account, action, effect, monkeypatch):
    retry_at_once(monkeypatch)
    account = healthy_account
    account.admin.inject_fault(account.account_id, action=action, effect=effect)
    readings = collect(account).readings
    affected = set(NEEDS[action])
    if "CredentialReport" in action:
        affected = {EvidenceType.MFA_COVERAGE}
    for kind, reading in readings.items():
        if kind in affected:
            assert reading.verdict is None
            assert reading.error_code in {ErrorCode.TRANSIENT, ErrorCode.MALFORMED}
        else:
            assert reading.verdict is Verdict.PASS


def test_a_throttle_that_passes_costs_only_time(healthy_account, monkeypatch):
    retry_at_once(monkeypatch)
    account = healthy_account
    account.admin.inject_fault(
        account.account_id,
        action="guardduty:ListDetectors",
        error_code="ThrottlingException",
        count=3,  # one less than a call is tried: one of the seventeen may meet them all
    )
    collected = collect(account)
    assert set(verdicts(collected).values()) == {Verdict.PASS}
    assert collected.throttles == 3


def test_a_session_that_expires_midway_leaves_types_unread_and_none_passing_wrongly(
    healthy_account,
):
    account = healthy_account
    account.admin.inject_fault(
        account.account_id,
        action="guardduty:ListDetectors",
        effect="expire_session",
        skip=1,
        count=1,
    )
    readings = collect(account, (STATUS, FINDINGS)).readings
    for reading in readings.values():
        assert reading.verdict is None
        assert reading.error_code is ErrorCode.TRANSIENT


def test_findings_of_other_accounts_are_not_even_read(healthy_account):
    account = healthy_account
    account.admin.add_findings(
        account.account_id,
        "us-east-1",
        [
            {"severity": 8, "account_id": "999988887777"},
            {"severity": 8, "archived": True},
            {"severity": 6.9},
        ],
    )
    assert collect(account).readings[FINDINGS].verdict is Verdict.PASS
    assert not account.calls(action="guardduty:GetFindings")


def test_many_findings_are_read_over_pages_and_batches(healthy_account):
    account = healthy_account
    account.admin.add_findings(
        account.account_id, "us-east-1", [{"severity": 9.0 if n % 3 else 7.5} for n in range(120)]
    )
    payload = collect(account).readings[FINDINGS].payload
    assert (payload["high_count"], payload["critical_count"]) == (40, 80)
    assert len(account.calls(action="guardduty:GetFindings")) == 3


def test_a_credential_report_in_the_making_is_waited_for(account):
    kind = EvidenceType.MFA_COVERAGE
    account.admin.set_credential_report(account.account_id, polls=3)
    assert collect(account, (kind,)).readings[kind].verdict is Verdict.NOT_APPLICABLE


def test_a_credential_report_never_made_is_not_ready(account):
    kind = EvidenceType.MFA_COVERAGE
    account.admin.set_credential_report(account.account_id, polls=1000)
    assert collect(account, (kind,)).readings[kind].error_code is ErrorCode.NOT_READY


def test_the_session_can_do_nothing_beyond_the_types_it_was_opened_for(account):
    with account.open(types=(EvidenceType.PASSWORD_POLICY,)) as session:
        readings = collect_account(session, ALL, sleep=lambda _: None).readings
    read = {kind for kind, reading in readings.items() if reading.read_status is ReadStatus.OK}
    assert read == {EvidenceType.PASSWORD_POLICY}
    codes = {reading.error_code for kind, reading in readings.items() if kind not in read}
    assert codes == {ErrorCode.DENIED}
