"""What an assumed session reads is what was set, by AWS's own APIs where there is one."""

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError

pytestmark = pytest.mark.integration

ROOT_OFF = {"mfa_enabled": False, "password_present": False, "access_keys": 0}


def read_report(iam):
    while iam.generate_credential_report()["State"] != "COMPLETE":
        pass
    answer = iam.get_credential_report()
    rows = list(csv.DictReader(io.StringIO(answer["Content"].decode())))
    return answer["GeneratedTime"], rows


def test_the_root_state_shows_in_summary_report_and_devices(account):
    iam = account.session("iam")
    account.sandbox.admin.set_root(account.account_id, mfa_enabled=True, access_keys=1)
    summary = iam.get_account_summary()["SummaryMap"]
    assert (summary["AccountMFAEnabled"], summary["AccountAccessKeysPresent"]) == (1, 1)
    _, rows = read_report(iam)
    assert rows[0]["user"] == "<root_account>"
    assert rows[0]["arn"] == f"arn:aws:iam::{account.account_id}:root"
    assert (rows[0]["password_enabled"], rows[0]["mfa_active"]) == ("not_supported", "true")
    assert (rows[0]["access_key_1_active"], rows[0]["access_key_2_active"]) == ("true", "false")
    devices = iam.list_virtual_mfa_devices(AssignmentStatus="Assigned")["VirtualMFADevices"]
    assert [one["User"]["Arn"] for one in devices] == [f"arn:aws:iam::{account.account_id}:root"]


def test_a_hardware_device_of_the_root_is_not_listed_as_virtual(account):
    account.sandbox.admin.set_root(account.account_id, mfa_enabled=True, mfa_kind="hardware")
    assert account.session("iam").list_virtual_mfa_devices()["VirtualMFADevices"] == []


def test_a_root_without_credentials_is_false_in_the_report(account):
    account.sandbox.admin.set_root(account.account_id, **ROOT_OFF)
    iam = account.session("iam")
    assert iam.get_account_summary()["SummaryMap"]["AccountPasswordPresent"] == 0
    assert read_report(iam)[1][0]["password_enabled"] == "false"


def test_the_report_lists_users_as_boto3_made_them(account):
    root = account.root("iam")
    for name in ("with-mfa", "without-mfa"):
        root.create_user(UserName=name)
        root.create_login_profile(UserName=name, Password="long-enough-password")
    root.create_user(UserName="robot")
    root.create_access_key(UserName="robot")
    device = root.create_virtual_mfa_device(VirtualMFADeviceName="with-mfa")["VirtualMFADevice"]
    root.enable_mfa_device(
        UserName="with-mfa",
        SerialNumber=device["SerialNumber"],
        AuthenticationCode1="123456",
        AuthenticationCode2="654321",
    )
    iam = account.session("iam")
    rows = {row["user"]: row for row in read_report(iam)[1]}
    shown = {n: (r["password_enabled"], r["mfa_active"]) for n, r in rows.items() if n[0] != "<"}
    assert shown == {
        "robot": ("false", "false"),
        "with-mfa": ("true", "true"),
        "without-mfa": ("true", "false"),
    }
    assert rows["robot"]["access_key_1_active"] == "true"
    assigned = iam.list_virtual_mfa_devices(AssignmentStatus="Assigned")["VirtualMFADevices"]
    assert [one["User"]["UserName"] for one in assigned] == ["with-mfa"]


def test_the_report_takes_as_many_polls_as_set_and_may_be_old(account):
    account.sandbox.admin.set_credential_report(account.account_id, polls=3, age_seconds=3600)
    iam = account.session("iam")
    with pytest.raises(ClientError) as failure:
        iam.get_credential_report()
    assert failure.value.response["Error"]["Code"] == "ReportNotPresent"
    states = [iam.generate_credential_report()["State"] for _ in range(5)]
    assert states == ["STARTED", "INPROGRESS", "INPROGRESS", "COMPLETE", "COMPLETE"]
    age = datetime.now(UTC) - iam.get_credential_report()["GeneratedTime"]
    assert timedelta(minutes=59) < age < timedelta(minutes=62)


def test_list_users_comes_in_pages(account):
    for number in range(5):
        account.root("iam").create_user(UserName=f"user-{number}")
    pages = list(
        account.session("iam")
        .get_paginator("list_users")
        .paginate(PaginationConfig={"PageSize": 2})
    )
    assert [len(page["Users"]) for page in pages] == [2, 2, 1]


def test_regions_are_those_enabled_by_default_until_set(account):
    ec2 = account.session("ec2")
    regions = {one["RegionName"] for one in ec2.describe_regions()["Regions"]}
    assert len(regions) == 17
    account.sandbox.admin.set_regions(account.account_id, ["us-east-1", "me-south-1"])
    everything = ec2.describe_regions(AllRegions=True)["Regions"]
    status = {one["RegionName"]: one["OptInStatus"] for one in everything}
    assert status["me-south-1"] == "opted-in"
    assert status["us-east-1"] == "opt-in-not-required"
    assert status["af-south-1"] == "not-opted-in"
    opted_in = {"Name": "opt-in-status", "Values": ["opted-in"]}
    filtered = ec2.describe_regions(Filters=[opted_in])["Regions"]
    assert [one["RegionName"] for one in filtered] == ["me-south-1"]


def test_a_session_does_not_work_in_a_region_that_is_not_enabled(account):
    with pytest.raises(ClientError) as failure:
        account.session("guardduty", "me-south-1").list_detectors()
    assert failure.value.response["Error"]["Code"] == "OptInRequired"
    account.sandbox.admin.set_regions(
        account.account_id, ["us-east-1"], disabled_error="UnrecognizedClientException"
    )
    with pytest.raises(ClientError) as failure:
        account.session("guardduty", "me-south-1").list_detectors()
    assert failure.value.response["Error"]["Code"] == "UnrecognizedClientException"


def test_a_new_trail_has_awss_default_selector_and_shadows_elsewhere(account):
    account.root("s3").create_bucket(Bucket=f"logs-{account.account_id}")
    trail = account.root("cloudtrail", "eu-west-1")
    made = trail.create_trail(
        Name="all-events", S3BucketName=f"logs-{account.account_id}", IsMultiRegionTrail=True
    )
    trail.start_logging(Name="all-events")
    elsewhere = account.session("cloudtrail", "us-east-2")
    assert [one["TrailARN"] for one in elsewhere.describe_trails()["trailList"]] == [
        made["TrailARN"]
    ]
    assert elsewhere.describe_trails(includeShadowTrails=False)["trailList"] == []
    home = account.session("cloudtrail", "eu-west-1")
    assert home.get_trail_status(Name=made["TrailARN"])["IsLogging"] is True
    selectors = home.get_event_selectors(TrailName=made["TrailARN"])["EventSelectors"]
    assert selectors[0]["ReadWriteType"] == "All"
    assert selectors[0]["IncludeManagementEvents"] is True


def test_advanced_selectors_are_given_back(account):
    account.root("s3").create_bucket(Bucket=f"logs-{account.account_id}")
    trail = account.root("cloudtrail")
    trail.create_trail(Name="narrow", S3BucketName=f"logs-{account.account_id}")
    fields = [{"Field": "eventCategory", "Equals": ["Management"]}]
    trail.put_event_selectors(
        TrailName="narrow", AdvancedEventSelectors=[{"Name": "m", "FieldSelectors": fields}]
    )
    answer = account.session("cloudtrail").get_event_selectors(TrailName="narrow")
    assert answer["AdvancedEventSelectors"][0]["FieldSelectors"][0]["Field"] == "eventCategory"
    assert "EventSelectors" not in answer


def test_the_public_access_block_is_absent_until_put(account):
    s3control = account.session("s3control")
    with pytest.raises(ClientError) as failure:
        s3control.get_public_access_block(AccountId=account.account_id)
    assert failure.value.response["Error"]["Code"] == "NoSuchPublicAccessBlockConfiguration"
    account.root("s3control").put_public_access_block(
        AccountId=account.account_id,
        PublicAccessBlockConfiguration={"BlockPublicAcls": True, "IgnorePublicAcls": True},
    )
    answer = s3control.get_public_access_block(AccountId=account.account_id)
    assert answer["PublicAccessBlockConfiguration"]["BlockPublicAcls"] is True


def test_accounts_do_not_see_each_other(account, sandbox):
    sandbox.admin.client("iam", "700999999999").create_user(UserName="stranger")
    assert account.session("iam").list_users()["Users"] == []
