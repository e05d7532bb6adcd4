"""``thirdsentry onboard``: what a customer sets up before `connect`."""

import json
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.markup import escape

from thirdsentry_pipeline.cli.options import AsJson, OrganizationId
from thirdsentry_pipeline.cli.output import messages, print_json, print_line
from thirdsentry_pipeline.cli.session import running_database
from thirdsentry_pipeline.domain.identifiers import parse_organization_id
from thirdsentry_pipeline.domain.policy import (
    ROLE_NAME,
    PolicyChoice,
    cloudformation_template,
    managed_policy_arns,
    terraform_module,
)
from thirdsentry_pipeline.operations.onboarding import Onboarding
from thirdsentry_pipeline.operations.onboarding import onboard as make_onboarding
from thirdsentry_pipeline.operations.services import open_services


class Format(StrEnum):
    """How the set-up is written."""

    TEXT = "text"
    JSON = "json"
    CLOUDFORMATION = "cloudformation"
    TERRAFORM = "terraform"


def onboard(
    organization: OrganizationId,
    policy: Annotated[
        PolicyChoice, typer.Option(help="What the customer attaches to the role.")
    ] = PolicyChoice.LEAST_PRIVILEGE,
    form: Annotated[Format, typer.Option("--format", help="How to write it.")] = Format.TEXT,
    as_json: AsJson = False,
) -> None:
    """Make the external id of the next connection and show what the customer sets up."""
    organization_id = parse_organization_id(organization)
    with running_database() as settings, open_services(settings) as services:
        made = make_onboarding(services, organization_id)
    if policy.warning is not None:
        messages().print(escape(policy.warning), style="yellow")
    if as_json or form is Format.JSON:
        print_json(document_of(made, policy))
    elif form is Format.CLOUDFORMATION:
        print_line(cloudformation_template(made.principal_arn, made.external_id, policy))
    elif form is Format.TERRAFORM:
        print_line(terraform_module(made.principal_arn, made.external_id, policy))
    else:
        print_line(text_of(made, policy, organization_id))


def document_of(made: Onboarding, policy: PolicyChoice) -> dict[str, Any]:
    """The JSON document; for AWS-managed policies ``permission_policy`` names their ARNs."""
    return {
        "external_id": made.external_id,
        "principal_arn": made.principal_arn,
        "trust_policy": made.trust_policy,
        "permission_policy": permissions_of(made, policy),
        "quick_create_url": made.quick_create_url,
        "policy": policy.value,
        "managed_policy_arns": list(managed_arns_of(made, policy)),
        "warning": policy.warning,
    }


def permissions_of(made: Onboarding, policy: PolicyChoice) -> dict[str, Any]:
    """The policy document to attach, or the AWS-managed policies that stand for it."""
    arns = managed_arns_of(made, policy)
    return {"ManagedPolicyArns": list(arns)} if arns else made.permission_policy


def managed_arns_of(made: Onboarding, policy: PolicyChoice) -> tuple[str, ...]:
    """The AWS-managed policies of the choice, in the partition of the trusted principal."""
    return managed_policy_arns(policy, made.principal_arn.split(":")[1])


def text_of(made: Onboarding, policy: PolicyChoice, organization_id: str) -> str:
    """The set-up in words, ready to send to the customer."""
    command = (
        f"thirdsentry connect --organization {organization_id} "
        f"--role-arn arn:aws:iam::<account id>:role/{ROLE_NAME}"
    )
    return "\n".join(
        (
            f"External id      {made.external_id}",
            f"Trusted principal {made.principal_arn}",
            "",
            f"1. In your AWS account, make a role such as {ROLE_NAME} with this trust policy:",
            json.dumps(made.trust_policy, indent=2),
            "",
            f"2. Give it these permissions ({policy.value}):",
            json.dumps(permissions_of(made, policy), indent=2),
            "",
            "   Or open this link to the console's form, filled in. A link can't hold a policy, so",
            "   it attaches the AWS-managed SecurityAudit; for exactly the permissions above use",
            "   --format cloudformation or --format terraform.",
            f"   {made.quick_create_url}",
            "",
            "3. Then connect it:",
            f"   {command}",
        )
    )
