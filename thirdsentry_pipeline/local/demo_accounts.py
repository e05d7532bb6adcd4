"""Three made-up organizations and their AWS accounts: healthy, with gaps, and one service denied.

Seeding again gives the same state: every field that is fingerprinted is fixed.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from thirdsentry_pipeline.domain.policy import ROLE_NAME
from thirdsentry_pipeline.local.sandbox_state import DEFAULT_REGIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    from thirdsentry_pipeline.local.sandbox_client import SandboxAdmin

_HOME_REGION = "us-east-1"
_ALREADY_THERE = frozenset(
    {
        "EntityAlreadyExists",
        "BadRequestException",
        "TrailAlreadyExistsException",
        "BucketAlreadyOwnedByYou",
    }
)
_PASSWORD = "a-demo-password-nobody-uses"  # noqa: S105 - of users that exist in the sandbox alone


@dataclass(frozen=True, slots=True)
class DemoAccount:
    """One AWS account; ``gaps`` makes it fail all it can, ``denied_service`` refuses a service."""

    account_id: str
    users_with_mfa: tuple[str, ...]
    users_without_mfa: tuple[str, ...] = ()
    root_mfa_kind: str = "virtual"
    gaps: bool = False
    denied_service: str | None = None

    @property
    def role_arn(self) -> str:
        """The role the demo connects; it is made once the external id is known."""
        return f"arn:aws:iam::{self.account_id}:role/{ROLE_NAME}"


@dataclass(frozen=True, slots=True)
class DemoOrganization:
    """One tenant of the demo."""

    organization_id: str
    name: str
    accounts: tuple[DemoAccount, ...]


DEMO_ORGANIZATIONS = (
    DemoOrganization(
        "66f0000000000000000000a1",
        "Aurora Payments",
        (
            DemoAccount("111111111111", ("amara", "bo", "chen")),
            DemoAccount("222222222222", ("amara", "dana"), root_mfa_kind="hardware"),
        ),
    ),
    DemoOrganization(
        "66f0000000000000000000b2",
        "Basalt Logistics",
        (DemoAccount("333333333333", ("ines",), ("jonas", "kofi"), gaps=True),),
    ),
    DemoOrganization(
        "66f0000000000000000000c3",
        "Cobalt Health",
        (DemoAccount("444444444444", ("lin", "maya"), denied_service="cloudtrail"),),
    ),
)
"""Healthy over two accounts; real gaps; CloudTrail denied in every region (one type unread)."""

_GAP_FINDINGS = {
    "us-east-1": (
        ("UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS", 8.0),
        ("CryptoCurrency:EC2/BitcoinTool.B!DNS", 7.5),
    ),
    "eu-west-1": (("Execution:Runtime/NewBinaryExecuted", 9.2),),
}
_SUSPENDED_REGION = "ap-southeast-2"


def seed_demo_accounts(admin: SandboxAdmin) -> None:
    """Bring the four accounts into their states; roles are left to the demo."""
    accounts = [account for one in DEMO_ORGANIZATIONS for account in one.accounts]
    for account in accounts:
        seed_account(admin, account)


def seed_account(admin: SandboxAdmin, account: DemoAccount) -> None:
    """Bring one account into its state; doing it again changes nothing."""
    admin.set_root(account.account_id, mfa_enabled=not account.gaps, mfa_kind=account.root_mfa_kind)
    _seed_users(admin, account)
    _seed_trail(admin, account)
    _seed_public_access_block(admin, account)
    _seed_guardduty(admin, account)
    if account.denied_service:
        admin.inject_fault(
            account.account_id,
            action=f"{account.denied_service}:*",
            error_code="AccessDeniedException",
            fault_id=f"demo-{account.account_id}",
        )


def _seed_users(admin: SandboxAdmin, account: DemoAccount) -> None:
    iam = admin.client("iam", account.account_id)
    for name in (*account.users_with_mfa, *account.users_without_mfa):
        _once(iam.create_user, UserName=name)
        _once(iam.create_login_profile, UserName=name, Password=_PASSWORD)
    for name in account.users_with_mfa:
        serial = f"arn:aws:iam::{account.account_id}:mfa/{name}"
        _once(iam.create_virtual_mfa_device, VirtualMFADeviceName=name)
        _once(
            iam.enable_mfa_device,
            UserName=name,
            SerialNumber=serial,
            AuthenticationCode1="123456",
            AuthenticationCode2="654321",
        )
    weak = account.gaps
    iam.update_account_password_policy(
        MinimumPasswordLength=8 if weak else 14,
        RequireSymbols=not weak,
        RequireNumbers=True,
        RequireUppercaseCharacters=not weak,
        RequireLowercaseCharacters=True,
        **({} if weak else {"PasswordReusePrevention": 24, "MaxPasswordAge": 90}),
    )


def _seed_trail(admin: SandboxAdmin, account: DemoAccount) -> None:
    bucket = f"demo-trail-{account.account_id}"
    _once(admin.client("s3", account.account_id).create_bucket, Bucket=bucket)
    cloudtrail = admin.client("cloudtrail", account.account_id, _HOME_REGION)
    _once(
        cloudtrail.create_trail,
        Name="management-events",
        S3BucketName=bucket,
        IsMultiRegionTrail=True,
        EnableLogFileValidation=not account.gaps,
    )
    if account.gaps:
        cloudtrail.stop_logging(Name="management-events")
    else:
        cloudtrail.start_logging(Name="management-events")


def _seed_public_access_block(admin: SandboxAdmin, account: DemoAccount) -> None:
    admin.client("s3control", account.account_id).put_public_access_block(
        AccountId=account.account_id,
        PublicAccessBlockConfiguration={
            "BlockPublicAcls": True,
            "IgnorePublicAcls": True,
            "BlockPublicPolicy": not account.gaps,
            "RestrictPublicBuckets": not account.gaps,
        },
    )


def _seed_guardduty(admin: SandboxAdmin, account: DemoAccount) -> None:
    def seed_region(region: str) -> None:
        guardduty = admin.client("guardduty", account.account_id, region)
        enable = not (account.gaps and region == _SUSPENDED_REGION)
        _once(guardduty.create_detector, Enable=enable)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(seed_region, DEFAULT_REGIONS))
    admin.clear_findings(account.account_id)
    # What must not count: a medium finding, and a high one that somebody has dealt with.
    quiet = [{"severity": 5.0}, {"severity": 8.0, "archived": True}]
    admin.add_findings(account.account_id, _HOME_REGION, quiet)
    for region, findings in (_GAP_FINDINGS if account.gaps else {}).items():
        wishes = [{"type": kind, "severity": severity} for kind, severity in findings]
        admin.add_findings(account.account_id, region, wishes)


def _once(call: Callable[..., Any], **values: Any) -> None:
    """Make the call; that the thing is there already is what we want."""
    try:
        call(**values)
    except ClientError as error:
        if error.response["Error"]["Code"] not in _ALREADY_THERE:
            raise
