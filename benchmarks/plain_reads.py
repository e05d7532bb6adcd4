"""The same reads as people write them: boto3, one call after another."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import ClientError

from benchmarks.stub_accounts import external_id_of, role_of

if TYPE_CHECKING:
    from botocore.awsrequest import AWSRequest


def read_account(account_id: str, *, credential_report: bool) -> int:
    """Read one account; the regions read are returned.

    Without ``credential_report`` the users' MFA is asked for user by user, as most scripts do.
    """
    sts = boto3.client("sts")
    opened = sts.assume_role(
        RoleArn=role_of(account_id),
        RoleSessionName="plain",
        ExternalId=external_id_of(account_id),
    )["Credentials"]
    session = boto3.Session(
        aws_access_key_id=opened["AccessKeyId"],
        aws_secret_access_key=opened["SecretAccessKey"],
        aws_session_token=opened["SessionToken"],
        region_name="us-east-1",
    )
    session.client("sts").get_caller_identity()
    _read_iam(session, credential_report=credential_report)
    blocks = session.client("s3control")
    blocks.meta.events.register("before-sign.s3-control", _without_account_host)
    blocks.get_public_access_block(AccountId=account_id)
    regions = [
        region["RegionName"]
        for region in session.client("ec2").describe_regions(AllRegions=True)["Regions"]
        if region["OptInStatus"] != "not-opted-in"
    ]
    for region in regions:
        _read_region(session, region)
    return len(regions)


def _read_iam(session: boto3.Session, *, credential_report: bool) -> None:
    iam = session.client("iam")
    iam.get_account_summary()
    iam.list_virtual_mfa_devices(AssignmentStatus="Assigned")
    iam.get_account_password_policy()
    if credential_report:
        while iam.generate_credential_report()["State"] != "COMPLETE":
            time.sleep(1)
        iam.get_credential_report()
        return
    for page in iam.get_paginator("list_users").paginate():
        for user in page["Users"]:
            try:
                iam.get_login_profile(UserName=user["UserName"])
            except ClientError:
                continue
            iam.list_mfa_devices(UserName=user["UserName"])


def _read_region(session: boto3.Session, region: str) -> None:
    trails = session.client("cloudtrail", region_name=region)
    for trail in trails.describe_trails(includeShadowTrails=True)["trailList"]:
        if trail["HomeRegion"] == region:
            trails.get_trail_status(Name=trail["TrailARN"])
            trails.get_event_selectors(TrailName=trail["TrailARN"])
    guardduty = session.client("guardduty", region_name=region)
    for detector in guardduty.list_detectors()["DetectorIds"]:
        guardduty.get_detector(DetectorId=detector)
        guardduty.get_administrator_account(DetectorId=detector)
        found = guardduty.list_findings(
            DetectorId=detector, FindingCriteria={"Criterion": {"severity": {"Gte": 7}}}
        )["FindingIds"]
        if found:
            guardduty.get_findings(DetectorId=detector, FindingIds=found)


def _without_account_host(request: AWSRequest, **_: object) -> None:
    """S3 Control puts the account id before the host name; a loopback address takes none."""
    scheme, _, rest = request.url.partition("://")
    request.url = f"{scheme}://{rest.partition('.')[2]}"
