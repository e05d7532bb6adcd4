"""The demo's accounts are in the states they claim, and the same on every start."""

import pytest
from botocore.exceptions import ClientError

from tests.integration.sandbox.conftest import role_client, vendor_client
from thirdsentry_pipeline.local.demo_accounts import DEMO_ORGANIZATIONS, seed_demo_accounts
from thirdsentry_pipeline.local.sandbox_process import SandboxProcess

pytestmark = pytest.mark.integration


def snapshot(admin, *account_ids):
    """What a reader of the accounts would fingerprint."""
    seen = {}
    for number in account_ids:
        iam = admin.client("iam", number)
        findings, states = {}, {}
        for region in ("us-east-1", "eu-west-1", "ap-southeast-2"):
            guardduty = admin.client("guardduty", number, region)
            (detector_id,) = guardduty.list_detectors()["DetectorIds"]
            states[region] = guardduty.get_detector(DetectorId=detector_id)["Status"]
            ids = guardduty.list_findings(
                DetectorId=detector_id,
                FindingCriteria={
                    "Criterion": {
                        "severity": {"GreaterThanOrEqual": 7},
                        "service.archived": {"Equals": ["false"]},
                    }
                },
            )["FindingIds"]
            for finding_id in ids:
                (one,) = guardduty.get_findings(DetectorId=detector_id, FindingIds=[finding_id])[
                    "Findings"
                ]
                findings[finding_id] = (one["Severity"], one["Service"]["EventFirstSeen"])
        trail = admin.client("cloudtrail", number)
        block = admin.client("s3control", number).get_public_access_block(AccountId=number)
        seen[number] = {
            "mfa": iam.get_account_summary()["SummaryMap"]["AccountMFAEnabled"],
            "policy": iam.get_account_password_policy()["PasswordPolicy"],
            "logging": trail.get_trail_status(Name="management-events")["IsLogging"],
            "block": block["PublicAccessBlockConfiguration"],
            "detectors": states,
            "findings": findings,
        }
    return seen


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    with SandboxProcess(tmp_path_factory.mktemp("demo")) as process:
        seed_demo_accounts(process.admin)
        yield process


def test_the_healthy_accounts_have_nothing_to_find(demo):
    for account in snapshot(demo.admin, "111111111111", "222222222222").values():
        assert account["mfa"] == 1
        assert account["logging"] is True
        assert all(account["block"].values())
        assert set(account["detectors"].values()) == {"ENABLED"}
        assert account["findings"] == {}


def test_the_account_with_gaps_has_all_of_them(demo):
    account = snapshot(demo.admin, "333333333333")["333333333333"]
    assert account["mfa"] == 0
    assert account["policy"]["MinimumPasswordLength"] < 14
    assert account["logging"] is False
    assert account["block"]["BlockPublicPolicy"] is False
    assert account["detectors"]["ap-southeast-2"] == "DISABLED"
    assert sorted(severity for severity, _ in account["findings"].values()) == [7.5, 8.0, 9.2]


def test_seeding_again_or_anew_gives_the_same_state(demo):
    numbers = ("111111111111", "333333333333")
    before = snapshot(demo.admin, *numbers)
    seed_demo_accounts(demo.admin)
    assert snapshot(demo.admin, *numbers) == before
    demo.admin.reset()
    seed_demo_accounts(demo.admin)
    assert snapshot(demo.admin, *numbers) == before


def test_the_denied_account_refuses_cloudtrail_to_the_auditor_and_nothing_else(demo):
    (account,) = DEMO_ORGANIZATIONS[2].accounts
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": demo.environment["THIRDSENTRY_PRINCIPAL_ARN"]},
                "Action": "sts:AssumeRole",
            }
        ],
    }
    role_name = account.role_arn.rsplit("/", 1)[-1]
    assert demo.admin.create_role(account.account_id, role_name, trust) == account.role_arn
    credentials = vendor_client(demo, "sts").assume_role(
        RoleArn=account.role_arn, RoleSessionName="demo"
    )["Credentials"]
    for region in ("us-east-1", "eu-west-1"):
        cloudtrail = role_client(demo, "cloudtrail", credentials, region)
        with pytest.raises(ClientError, match="AccessDeniedException"):
            cloudtrail.describe_trails()
    assert role_client(demo, "iam", credentials).list_users()["Users"]
