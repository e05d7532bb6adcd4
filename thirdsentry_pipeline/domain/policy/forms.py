"""The same role in the forms customers paste: CloudFormation, Terraform, a console link."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote, urlencode

from thirdsentry_pipeline.domain.errors import ConfigurationError
from thirdsentry_pipeline.domain.identifiers import (
    EXTERNAL_ID_MAX_LENGTH,
    EXTERNAL_ID_MIN_LENGTH,
)
from thirdsentry_pipeline.domain.policy.documents import (
    POLICY_NAME,
    PolicyChoice,
    managed_policy_arns,
    permission_policy,
    trust_document,
    trust_policy,
)

ROLE_NAME = "ThirdSentryReadOnly"
STACK_NAME = "thirdsentry"


def cloudformation_template(
    principal_arn: str,
    external_id: str | None = None,
    choice: PolicyChoice = PolicyChoice.LEAST_PRIVILEGE,
) -> str:
    """A CloudFormation template (JSON) that makes the role and outputs its ARN.

    ``external_id`` becomes the parameter's default; ``None`` leaves it to be filled in, for a
    template that is published. The parameter is not ``NoEcho``: quick-create links drop such
    parameters, and AWS shows external ids in trust policies anyway.
    """
    parameter: dict[str, Any] = {
        "Type": "String",
        "Description": "The external id that ThirdSentry gave you",
        "MinLength": EXTERNAL_ID_MIN_LENGTH,
        "MaxLength": EXTERNAL_ID_MAX_LENGTH,
        "AllowedPattern": r"[A-Za-z0-9_+=,.@:/-]+",
    }
    if external_id is not None:
        parameter["Default"] = external_id
    permissions: dict[str, Any] = {
        "Policies": [{"PolicyName": POLICY_NAME, "PolicyDocument": permission_policy()}]
    }
    if choice.managed_policies:
        permissions = {
            "ManagedPolicyArns": [
                {"Fn::Sub": arn} for arn in managed_policy_arns(choice, "${AWS::Partition}")
            ]
        }
    template = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "Lets ThirdSentry read compliance evidence from this account",
        "Parameters": {
            "PrincipalArn": {
                "Type": "String",
                "Description": "The ThirdSentry principal to trust",
                "Default": principal_arn,
            },
            "ExternalId": parameter,
            "RoleName": {
                "Type": "String",
                "Description": "Name of the role to make",
                "Default": ROLE_NAME,
            },
        },
        "Resources": {
            "Role": {
                "Type": "AWS::IAM::Role",
                "Properties": {
                    "RoleName": {"Ref": "RoleName"},
                    "AssumeRolePolicyDocument": trust_document(
                        {"Ref": "PrincipalArn"}, {"Ref": "ExternalId"}
                    ),
                    **permissions,
                },
            },
        },
        "Outputs": {
            "RoleArn": {
                "Description": "The role ARN to give to ThirdSentry",
                "Value": {"Fn::GetAtt": ["Role", "Arn"]},
            },
        },
    }
    return json.dumps(template, indent=2) + "\n"


_TERRAFORM = """\
data "aws_partition" "current" {{}}

resource "aws_iam_role" "thirdsentry" {{
  name               = {role_name}
  assume_role_policy = jsonencode({trust})
}}
{permissions}
output "role_arn" {{
  description = "The role ARN to give to ThirdSentry"
  value       = aws_iam_role.thirdsentry.arn
}}
"""

_TERRAFORM_INLINE = """
resource "aws_iam_role_policy" "evidence" {{
  name   = {name}
  role   = aws_iam_role.thirdsentry.id
  policy = jsonencode({policy})
}}
"""

_TERRAFORM_MANAGED = """
resource "aws_iam_role_policy_attachment" "{label}" {{
  role       = aws_iam_role.thirdsentry.name
  policy_arn = "arn:${{data.aws_partition.current.partition}}:iam::aws:policy/{name}"
}}
"""


def terraform_module(
    principal_arn: str,
    external_id: str,
    choice: PolicyChoice = PolicyChoice.LEAST_PRIVILEGE,
) -> str:
    """Terraform (HCL) for the same role."""
    if choice.managed_policies:
        permissions = "".join(
            _TERRAFORM_MANAGED.format(label=_snake(name), name=name)
            for name in choice.managed_policies
        )
    else:
        permissions = _TERRAFORM_INLINE.format(
            name=_hcl(POLICY_NAME), policy=_hcl(permission_policy())
        )
    return _TERRAFORM.format(
        role_name=_hcl(ROLE_NAME),
        trust=_hcl(trust_policy(principal_arn, external_id)),
        permissions=permissions,
    )


def _hcl(value: Any) -> str:
    """A JSON value as an HCL expression (JSON is one, but for template marks in its strings)."""
    text = json.dumps(value, indent=2).replace("\n", "\n  ")
    return text.replace("${", "$${").replace("%{", "%%{")


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


_CONSOLES = {
    "aws": "https://console.aws.amazon.com",
    "aws-us-gov": "https://console.amazonaws-us-gov.com",
    "aws-cn": "https://console.amazonaws.cn",
}
_PRINCIPAL = re.compile(r"arn:(aws|aws-us-gov|aws-cn):(?:iam|sts)::([0-9]{12}):.+")


def quick_create_url(
    principal_arn: str, external_id: str, *, template_url: str | None = None
) -> str:
    """A console link that opens with everything filled in. It holds the external id: never log it.

    With ``template_url`` (the published CloudFormation template, in S3) it is CloudFormation's
    quick-create page. Without one it is IAM's wizard for a third party's role with SecurityAudit
    attached: we name no bucket that we might not own, because whoever owned it would choose
    what customers install. The wizard trusts the principal's account.

    Raises:
        ConfigurationError: the principal is no ARN of an IAM principal.
    """
    match = _PRINCIPAL.fullmatch(principal_arn)
    if match is None:
        message = (
            "THIRDSENTRY_PRINCIPAL_ARN must be the ARN of an IAM principal, "
            "such as arn:aws:iam::123456789012:role/thirdsentry-pipeline."
        )
        raise ConfigurationError(message)
    partition, account_id = match.groups()
    if template_url is not None:
        query = {
            "templateURL": template_url,
            "stackName": STACK_NAME,
            "param_PrincipalArn": principal_arn,
            "param_ExternalId": external_id,
            "param_RoleName": ROLE_NAME,
        }
        page = "cloudformation/home#/stacks/quickcreate?"
        return f"{_CONSOLES[partition]}/{page}{urlencode(query, quote_via=quote, safe='')}"
    [audit_arn] = managed_policy_arns(PolicyChoice.SECURITY_AUDIT, partition)
    query = {
        "step": "type",
        "roleType": "crossAccount",
        "isThirdParty": "true",
        "accountID": account_id,
        "externalID": external_id,
        "roleName": ROLE_NAME,
        "policies": audit_arn,
    }
    return (
        f"{_CONSOLES[partition]}/iam/home#/roles$new?{urlencode(query, quote_via=quote, safe='')}"
    )
