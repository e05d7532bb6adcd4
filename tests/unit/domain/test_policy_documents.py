"""The policies customers attach: only what is read, only for us, in every form alike."""

from __future__ import annotations

import json
import re
from itertools import chain, combinations
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from policy_sentry.querying.actions import get_action_data

from thirdsentry_pipeline.domain.errors import ConfigurationError
from thirdsentry_pipeline.domain.evidence import EvidenceType
from thirdsentry_pipeline.domain.policy import (
    ACTIONS_BY_TYPE,
    LEAST_PRIVILEGE_ACTIONS,
    ROLE_NAME,
    PolicyChoice,
    actions_for,
    cloudformation_template,
    managed_policy_arns,
    permission_policy,
    quick_create_url,
    session_policy,
    terraform_module,
    trust_policy,
)

PRINCIPAL = "arn:aws:iam::999999999999:role/thirdsentry"
EXTERNAL_ID = "acme+audit/2026:a@b"
EXPECTED = [
    "cloudtrail:DescribeTrails",
    "cloudtrail:GetEventSelectors",
    "cloudtrail:GetTrailStatus",
    "ec2:DescribeRegions",
    "guardduty:GetAdministratorAccount",
    "guardduty:GetDetector",
    "guardduty:GetFindings",
    "guardduty:ListDetectors",
    "guardduty:ListFindings",
    "iam:GenerateCredentialReport",
    "iam:GetAccountPasswordPolicy",
    "iam:GetAccountSummary",
    "iam:GetCredentialReport",
    "iam:GetLoginProfile",
    "iam:ListMFADevices",
    "iam:ListUsers",
    "iam:ListVirtualMFADevices",
    "s3:GetAccountPublicAccessBlock",
]


def test_the_least_privilege_policy_is_exactly_what_is_read():
    assert list(LEAST_PRIVILEGE_ACTIONS) == EXPECTED
    [statement] = permission_policy()["Statement"]
    assert statement["Action"] == EXPECTED
    assert (statement["Effect"], statement["Resource"]) == ("Allow", "*")


@pytest.mark.parametrize("action", LEAST_PRIVILEGE_ACTIONS)
def test_every_action_exists_and_only_reads(action):
    service, name = action.split(":")
    rows = get_action_data(service, name)[service]
    assert {row["access_level"] for row in rows} <= {"Read", "List"}


def test_every_type_names_its_actions():
    assert set(ACTIONS_BY_TYPE) == set(EvidenceType)
    assert actions_for([]) == ()
    assert actions_for([EvidenceType.S3_PUBLIC_ACCESS_BLOCK]) == ("s3:GetAccountPublicAccessBlock",)


def test_a_session_is_cut_down_to_the_types_it_reads_and_fits_what_sts_takes():
    every = list(EvidenceType)
    subsets = chain.from_iterable(combinations(every, size) for size in range(1, 8))
    for types in subsets:
        text = session_policy(types)
        assert len(text) <= 2048
        assert " " not in text
        [statement] = json.loads(text)["Statement"]
        assert statement["Action"] == list(actions_for(types))
    assert json.loads(session_policy(every)) == permission_policy()


def test_only_our_principal_with_this_external_id_is_trusted():
    [statement] = trust_policy(PRINCIPAL, EXTERNAL_ID)["Statement"]
    assert statement == {
        "Effect": "Allow",
        "Principal": {"AWS": PRINCIPAL},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"sts:ExternalId": EXTERNAL_ID}},
    }


def test_the_choices_and_the_warning_about_customer_data():
    assert managed_policy_arns(PolicyChoice.LEAST_PRIVILEGE, "aws") == ()
    assert managed_policy_arns(PolicyChoice.SECURITY_AUDIT, "aws-us-gov") == (
        "arn:aws-us-gov:iam::aws:policy/SecurityAudit",
    )
    assert managed_policy_arns(PolicyChoice.READ_ONLY, "aws") == (
        "arn:aws:iam::aws:policy/SecurityAudit",
        "arn:aws:iam::aws:policy/ReadOnlyAccess",
    )
    assert "s3:GetObject" in PolicyChoice.READ_ONLY.warning
    assert PolicyChoice.LEAST_PRIVILEGE.warning is None
    assert PolicyChoice.SECURITY_AUDIT.warning is None


@pytest.mark.parametrize("choice", PolicyChoice)
@pytest.mark.parametrize("external_id", [EXTERNAL_ID, None])
def test_the_cloudformation_template_is_valid_and_makes_the_role(choice, external_id):
    from cfnlint.api import lint  # noqa: PLC0415 - seconds, for these tests alone

    text = cloudformation_template(PRINCIPAL, external_id, choice)
    assert lint(text, regions=["us-east-1"]) == []
    template = json.loads(text)
    role = template["Resources"]["Role"]["Properties"]
    [trust] = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Condition"] == {"StringEquals": {"sts:ExternalId": {"Ref": "ExternalId"}}}
    assert trust["Principal"] == {"AWS": {"Ref": "PrincipalArn"}}
    parameters = template["Parameters"]
    assert parameters["ExternalId"].get("Default") == external_id
    assert "NoEcho" not in parameters["ExternalId"]
    assert re.fullmatch(parameters["ExternalId"]["AllowedPattern"], EXTERNAL_ID)
    assert parameters["PrincipalArn"]["Default"] == PRINCIPAL
    if choice is PolicyChoice.LEAST_PRIVILEGE:
        assert role["Policies"][0]["PolicyDocument"] == permission_policy()
        assert "ManagedPolicyArns" not in role
    else:
        assert "Policies" not in role
        names = [arn["Fn::Sub"].rpartition("/")[2] for arn in role["ManagedPolicyArns"]]
        assert tuple(names) == choice.managed_policies


@pytest.mark.parametrize("choice", PolicyChoice)
def test_the_terraform_module_makes_the_same_role(choice):
    text = terraform_module(PRINCIPAL, EXTERNAL_ID, choice)
    documents = [
        json.loads(found) for found in re.findall(r"jsonencode\((.*?)\n?\)\n", text, re.DOTALL)
    ]
    assert documents[0] == trust_policy(PRINCIPAL, EXTERNAL_ID)
    assert text.count("{") == text.count("}")
    if choice is PolicyChoice.LEAST_PRIVILEGE:
        assert documents[1:] == [permission_policy()]
        assert "aws_iam_role_policy_attachment" not in text
    else:
        assert documents[1:] == []
        attached = tuple(re.findall(r"iam::aws:policy/(\w+)", text))
        assert attached == choice.managed_policies


def test_terraform_never_reads_a_value_as_its_own_template():
    text = terraform_module("arn:aws:iam::999999999999:role/${x}%{y}", EXTERNAL_ID)
    assert "role/$${x}%%{y}" in text


def test_the_link_opens_the_third_party_wizard_with_everything_filled_in():
    url = urlsplit(quick_create_url(PRINCIPAL, EXTERNAL_ID))
    assert url.netloc == "console.aws.amazon.com"
    page, _, query = url.fragment.partition("?")
    assert page == "/roles$new"
    assert {key: value for key, [value] in parse_qs(query).items()} == {
        "step": "type",
        "roleType": "crossAccount",
        "isThirdParty": "true",
        "accountID": "999999999999",
        "externalID": EXTERNAL_ID,
        "roleName": ROLE_NAME,
        "policies": "arn:aws:iam::aws:policy/SecurityAudit",
    }


def test_with_a_published_template_the_link_is_cloudformations():
    url = urlsplit(
        quick_create_url(PRINCIPAL, EXTERNAL_ID, template_url="https://b.s3.amazonaws.com/t")
    )
    page, _, query = url.fragment.partition("?")
    assert page == "/stacks/quickcreate"
    filled = {key: value for key, [value] in parse_qs(query).items()}
    parameters = json.loads(cloudformation_template(PRINCIPAL))["Parameters"]
    assert {f"param_{name}" for name in parameters} <= set(filled)
    assert filled["param_ExternalId"] == EXTERNAL_ID
    assert filled["templateURL"] == "https://b.s3.amazonaws.com/t"


@pytest.mark.parametrize(
    ("partition", "host"),
    [("aws-us-gov", "console.amazonaws-us-gov.com"), ("aws-cn", "console.amazonaws.cn")],
)
def test_other_partitions_have_their_own_console(partition, host):
    url = quick_create_url(PRINCIPAL.replace("arn:aws:", f"arn:{partition}:"), EXTERNAL_ID)
    assert urlsplit(url).netloc == host
    assert f"arn:{partition}:iam::aws:policy/SecurityAudit" in unquote(url)


@pytest.mark.parametrize(
    "principal", ["", "999999999999", "arn:aws:s3:::bucket", "arn:aws:iam::1:role/x"]
)
def test_a_principal_that_is_none_names_the_setting_and_not_the_id(principal):
    with pytest.raises(ConfigurationError, match="THIRDSENTRY_PRINCIPAL_ARN") as caught:
        quick_create_url(principal, EXTERNAL_ID)
    assert EXTERNAL_ID not in str(caught.value)
