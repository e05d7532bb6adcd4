from uuid import uuid4

import pytest

from tests.integration.aws.conftest import EXTERNAL_ID, ORGANIZATION
from thirdsentry_pipeline.aws.kms import TenantKeys
from thirdsentry_pipeline.aws.role_session import probe_trust
from thirdsentry_pipeline.domain.errors import (
    ConfigurationError,
    RunFailedError,
    UnsafeTrustPolicyError,
)
from thirdsentry_pipeline.domain.evidence import ErrorCode
from thirdsentry_pipeline.domain.policy import trust_policy

pytestmark = pytest.mark.integration


def probe(account):
    probe_trust(
        account.platform, account.role, EXTERNAL_ID, ORGANIZATION, uuid4(), sleep=lambda _: None
    )


def test_a_role_with_the_condition_proves_safe(account):
    probe(account)


def test_a_role_without_the_condition_is_unsafe(account, sandbox):
    trust = trust_policy(sandbox.environment["THIRDSENTRY_PRINCIPAL_ARN"], EXTERNAL_ID)
    del trust["Statement"][0]["Condition"]
    account.admin.create_role(account.account_id, "ThirdSentry", trust)
    with pytest.raises(UnsafeTrustPolicyError):
        probe(account)


@pytest.mark.parametrize("external_id", ["another-external-id", EXTERNAL_ID.upper()])
def test_a_wrong_external_id_opens_nothing(account, external_id):
    with pytest.raises(RunFailedError) as caught:
        account.open(external_id)
    assert caught.value.code is ErrorCode.ASSUME_ROLE_DENIED


def test_a_deleted_role_is_told_like_a_wrong_id(account):
    iam = account.client("iam")
    iam.delete_role_policy(RoleName="ThirdSentry", PolicyName="ThirdSentryRead")
    iam.delete_role(RoleName="ThirdSentry")
    with pytest.raises(RunFailedError) as caught:
        account.open()
    assert caught.value.code is ErrorCode.ASSUME_ROLE_DENIED


def test_a_role_that_appears_late_is_waited_for(account):
    account.admin.inject_fault(account.account_id, action="sts:AssumeRole", count=3)
    account.open().close()


def test_a_session_of_another_account_is_dropped(account):
    account.admin.set_identity(account.account_id, "999988887777")
    with pytest.raises(RunFailedError) as caught:
        account.open()
    assert caught.value.code is ErrorCode.ACCOUNT_MISMATCH


def test_two_accounts_never_share_a_session(account, sandbox, platform):
    from tests.integration.aws.conftest import CustomerAccount  # noqa: PLC0415 - used once

    other = CustomerAccount(sandbox, platform)
    with account.open() as first, other.open() as second:
        for session, owner in ((first, account), (second, other), (first, account)):
            answer = session.client("sts", "us-east-1").get_caller_identity()
            assert answer["Account"] == owner.account_id


@pytest.fixture
def keys(sandbox, platform):
    return TenantKeys(platform.client("kms"), sandbox.environment["THIRDSENTRY_KMS_KEY_ID"])


def test_a_data_key_unwraps_for_its_organization_and_version_alone(keys):
    wrapped = keys.generate(ORGANIZATION, 1)
    plain = keys.unwrap(ORGANIZATION, 1, wrapped)
    assert len(plain) == 32
    assert plain not in wrapped
    for organization, version in ((ORGANIZATION[::-1], 1), (ORGANIZATION, 2)):
        with pytest.raises(RunFailedError) as caught:
            keys.unwrap(organization, version, wrapped)
        assert caught.value.code is ErrorCode.KEY_UNAVAILABLE


def test_a_key_that_does_not_exist_names_the_setting(platform):
    missing = TenantKeys(platform.client("kms"), str(uuid4()))
    with pytest.raises(ConfigurationError, match="THIRDSENTRY_KMS_KEY_ID"):
        missing.generate(ORGANIZATION, 1)
