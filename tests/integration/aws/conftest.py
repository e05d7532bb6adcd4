import itertools
from uuid import uuid4

import pytest

from thirdsentry_pipeline.aws.role_session import open_role_session
from thirdsentry_pipeline.aws.sessions import PlatformAws
from thirdsentry_pipeline.domain.evidence import EvidenceType
from thirdsentry_pipeline.domain.identifiers import RoleArn
from thirdsentry_pipeline.domain.policy import permission_policy, trust_policy

ORGANIZATION = "64b7f3a2c1d4e5f60718293a"
EXTERNAL_ID = "canary-external-id"
_numbers = itertools.count(210_000_000_001)


class CustomerAccount:
    """An account in the sandbox with a role for us, and the ways to change it."""

    def __init__(self, sandbox, platform):
        self.admin = sandbox.admin
        self.account_id = str(next(_numbers))
        self.platform = platform
        principal = sandbox.environment["THIRDSENTRY_PRINCIPAL_ARN"]
        self.role = RoleArn.parse(
            self.admin.create_role(
                self.account_id,
                "ThirdSentry",
                trust_policy(principal, EXTERNAL_ID),
                permission_policy(),
            )
        )

    def client(self, service, region="us-east-1"):
        return self.admin.client(service, self.account_id, region)

    def open(self, external_id=EXTERNAL_ID, types=tuple(EvidenceType)):
        return open_role_session(
            self.platform,
            self.role,
            external_id,
            ORGANIZATION,
            uuid4(),
            types=types,
            sleep=lambda _: None,
        )

    def calls(self, **wanted):
        return self.admin.calls(account_id=self.account_id, **wanted)

    def add_trail(self, name="main", *, region="us-east-1"):
        bucket = f"trail-{self.account_id}-{name}"
        self.client("s3").create_bucket(Bucket=bucket)
        cloudtrail = self.client("cloudtrail", region)
        cloudtrail.create_trail(Name=name, S3BucketName=bucket, IsMultiRegionTrail=True)
        cloudtrail.start_logging(Name=name)

    def add_users(self, count, *, mfa=0):
        iam = self.client("iam")
        for number in range(count):
            name = f"user-{number:04}"
            iam.create_user(UserName=name)
            iam.create_login_profile(UserName=name, Password="Correct-Horse-9")
            if number < mfa:
                serial = iam.create_virtual_mfa_device(VirtualMFADeviceName=name)[
                    "VirtualMFADevice"
                ]["SerialNumber"]
                iam.enable_mfa_device(
                    UserName=name,
                    SerialNumber=serial,
                    AuthenticationCode1="123456",
                    AuthenticationCode2="654321",
                )

    def make_healthy(self, regions):
        self.add_trail()
        self.add_users(2, mfa=2)
        self.admin.set_root(self.account_id, mfa_enabled=True, mfa_kind="virtual")
        self.client("iam").update_account_password_policy(
            MinimumPasswordLength=14, PasswordReusePrevention=24
        )
        flags = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy")
        self.client("s3control").put_public_access_block(
            AccountId=self.account_id,
            PublicAccessBlockConfiguration=dict.fromkeys((*flags, "RestrictPublicBuckets"), True),
        )
        for region in regions:
            self.client("guardduty", region).create_detector(Enable=True)


@pytest.fixture
def platform(sandbox, sandbox_environment):
    return PlatformAws(endpoint_url=sandbox.endpoint_url, region="us-east-1")


@pytest.fixture
def account(sandbox, platform):
    """A fresh account whose role trusts us with the external id."""
    yield CustomerAccount(sandbox, platform)
    sandbox.admin.clear_faults()


REGIONS = ("eu-west-1", "eu-west-3", "us-east-1")


@pytest.fixture(scope="module")
def _seeded_account(sandbox):
    account = CustomerAccount(sandbox, platform=None)
    account.admin.set_regions(account.account_id, REGIONS)
    account.make_healthy(REGIONS)
    return account


@pytest.fixture
def healthy_account(_seeded_account, platform):
    """An account with three regions in which all seven types pass; made once, so leave it so."""
    account = _seeded_account
    account.platform = platform
    account.admin.clear_calls()
    yield account
    account.admin.clear_faults()
    account.admin.clear_findings(account.account_id)
