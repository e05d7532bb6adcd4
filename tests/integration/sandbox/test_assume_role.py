"""AssumeRole opens only for the principal, external id and duration the role allows."""

import json

import pytest
from botocore.exceptions import ClientError

from tests.integration.sandbox.conftest import EXTERNAL_ID, policy_of, vendor_client

pytestmark = pytest.mark.integration


def code_of(failure):
    return failure.value.response["Error"]["Code"]


def test_the_right_external_id_opens_the_role_in_its_own_account(account):
    identity = account.session("sts").get_caller_identity()
    assert identity["Account"] == account.account_id
    assert identity["Arn"] == (
        f"arn:aws:sts::{account.account_id}:assumed-role/Auditor/thirdsentry-test"
    )


@pytest.mark.parametrize("external_id", [None, "another-external-id"])
def test_a_missing_or_wrong_external_id_is_denied_in_awss_words(account, external_id):
    with pytest.raises(
        ClientError, match="is not authorized to perform: sts:AssumeRole"
    ) as failure:
        account.assume(ExternalId=external_id)
    assert code_of(failure) == "AccessDenied"
    assert failure.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_a_role_that_does_not_exist_is_denied_and_not_named_missing(account):
    with pytest.raises(ClientError) as failure:
        account.assume(RoleArn=f"arn:aws:iam::{account.account_id}:role/Nobody")
    assert code_of(failure) == "AccessDenied"


@pytest.mark.parametrize(
    "condition",
    [
        {"StringLike": {"sts:ExternalId": "customer-*"}},
        {"StringEquals": {"sts:ExternalId": ["other", EXTERNAL_ID]}},
        {"StringEqualsIgnoreCase": {"sts:ExternalId": EXTERNAL_ID.upper()}},
        {"Null": {"sts:ExternalId": "false"}},
    ],
)
def test_conditions_that_the_external_id_meets_open_the_role(account, condition):
    trust = account.trust_policy(condition=condition)
    account.sandbox.admin.create_role(account.account_id, "Auditor", trust)
    assert account.assume()["AccessKeyId"].startswith("ASIA")
    with pytest.raises(ClientError):
        account.assume(ExternalId=None)


@pytest.mark.parametrize(
    "condition",
    [
        {"StringNotEquals": {"sts:ExternalId": EXTERNAL_ID}},
        {"Bool": {"aws:MultiFactorAuthPresent": "true"}},
        {"StringEquals": {"sts:ExternalId": EXTERNAL_ID, "aws:PrincipalAccount": "000000000000"}},
    ],
)
def test_conditions_that_do_not_hold_or_are_not_known_keep_the_role_shut(account, condition):
    trust = account.trust_policy(condition=condition)
    account.sandbox.admin.create_role(account.account_id, "Auditor", trust)
    with pytest.raises(ClientError):
        account.assume()


def test_a_role_may_trust_the_vendors_whole_account(account):
    trust = account.trust_policy(principal="arn:aws:iam::123456789012:root")
    account.sandbox.admin.create_role(account.account_id, "Auditor", trust)
    assert account.assume()


def test_a_role_that_trusts_somebody_else_stays_shut(account):
    trust = account.trust_policy(principal="arn:aws:iam::999999999999:root")
    account.sandbox.admin.create_role(account.account_id, "Auditor", trust)
    with pytest.raises(ClientError):
        account.assume()


def test_a_deny_beats_an_allow(account):
    trust = account.trust_policy()
    trust["Statement"].append({"Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRole"})
    account.sandbox.admin.create_role(account.account_id, "Auditor", trust)
    with pytest.raises(ClientError):
        account.assume()


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("DurationSeconds", 43200, "ValidationError"),
        ("RoleSessionName", "no spaces", "ValidationError"),
        ("ExternalId", "no spaces", "ValidationError"),
        ("Policy", json.dumps({"Statement": ["x" * 2048]}), "ValidationError"),
        ("Policy", "not json", "MalformedPolicyDocument"),
    ],
)
def test_values_sts_would_not_take_are_refused(account, field, value, code):
    with pytest.raises(ClientError) as failure:
        account.assume(**{field: value})
    assert code_of(failure) == code


def test_a_duration_below_900_seconds_is_refused_by_the_server_too(account):
    client = vendor_client(account.sandbox, "sts")
    client.meta.events.register(
        "before-call.sts.AssumeRole",
        lambda params, **_: params["body"].__setitem__("DurationSeconds", 600),
    )
    with pytest.raises(ClientError, match="greater than or equal to 900"):
        client.assume_role(
            RoleArn=account.role_arn, RoleSessionName="short", ExternalId=EXTERNAL_ID
        )


def test_the_session_policy_is_recorded_and_holds_the_session(account):
    policy = policy_of("iam:GetAccountSummary", "guardduty:List*")
    credentials = account.assume(Policy=policy)
    iam = account.session("iam", credentials=credentials)
    assert iam.get_account_summary()["SummaryMap"]["AccountPasswordPresent"] == 1
    with pytest.raises(ClientError, match="no session policy allows the iam:ListUsers") as failure:
        iam.list_users()
    assert code_of(failure) == "AccessDenied"
    recorded = {one["access_key_id"]: one for one in account.sandbox.admin.sessions()}
    assert recorded[credentials["AccessKeyId"]]["policy"] == policy
    assert "token" not in recorded[credentials["AccessKeyId"]]


def test_the_roles_own_policies_hold_the_session_once_it_has_any(account):
    assert account.session("iam").list_users()["Users"] == []
    account.root("iam").put_role_policy(
        RoleName="Auditor", PolicyName="p", PolicyDocument=policy_of("iam:GetAccountSummary")
    )
    with pytest.raises(ClientError, match="no identity-based policy allows"):
        account.session("iam").list_users()


def test_security_audit_attaches_and_allows_what_the_product_reads(account):
    account.root("iam").attach_role_policy(
        RoleName="Auditor", PolicyArn="arn:aws:iam::aws:policy/SecurityAudit"
    )
    assert account.session("guardduty").list_detectors()["DetectorIds"] == []
    with pytest.raises(ClientError) as failure:
        account.session("iam").create_user(UserName="intruder")
    assert code_of(failure) == "AccessDenied"


@pytest.mark.parametrize(
    ("service", "call", "denied"),
    [
        ("ec2", "describe_regions", "UnauthorizedOperation"),
        ("cloudtrail", "describe_trails", "AccessDeniedException"),
        ("guardduty", "list_detectors", "AccessDeniedException"),
        ("iam", "list_users", "AccessDenied"),
    ],
)
def test_each_service_spells_denial_its_own_way(account, service, call, denied):
    client = account.session(service, Policy=policy_of("sns:Publish"))
    with pytest.raises(ClientError) as failure:
        getattr(client, call)()
    assert code_of(failure) == denied


def test_an_expired_session_is_told_so_and_an_unknown_one_too(account):
    credentials = account.assume()
    forged = {**credentials, "SessionToken": "forged"}
    with pytest.raises(ClientError) as failure:
        account.session("sts", credentials=forged).get_caller_identity()
    assert code_of(failure) == "InvalidClientTokenId"
    account.sandbox.admin.expire_sessions(account.account_id)
    with pytest.raises(ClientError) as failure:
        account.session("iam", credentials=credentials).list_users()
    assert code_of(failure) == "ExpiredToken"
    with pytest.raises(ClientError) as failure:
        account.session("guardduty", credentials=credentials).list_detectors()
    assert code_of(failure) == "ExpiredTokenException"


def test_an_account_can_be_made_to_report_another_identity(account):
    account.sandbox.admin.set_identity(account.account_id, "888888888888")
    assert account.session("sts").get_caller_identity()["Account"] == "888888888888"


def test_the_vendors_own_key_is_the_principal_customers_trust(sandbox, vendor):
    identity = vendor("sts").get_caller_identity()
    assert identity["Arn"] == sandbox.environment["THIRDSENTRY_PRINCIPAL_ARN"]
