"""The Terraform of the ECS deployment: it holds together, and grants and opens no more than said.

Where Terraform and its AWS provider are installed, set THIRDSENTRY_TESTS_TERRAFORM_PLUGINS to the
provider's folder, and `terraform validate` runs as well.
"""

import os
import re
import shutil
import subprocess

import pytest
from policy_sentry.querying.all import get_all_actions

from tests.unit.deploy.terraform_files import (
    ECS,
    SCHEMA,
    declared,
    load,
    names,
    references,
    statements,
    texts,
    unknown_arguments,
)

# ECS, ECR, EC2's Describe and Session Manager's channels have no resource that could be named.
ON_ANY_RESOURCE = {
    "ecs:RegisterTaskDefinition",
    "ecs:DescribeTaskDefinition",
    "ec2:DescribeNetworkInterfaces",
    "ecr:GetAuthorizationToken",
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
}


@pytest.fixture(scope="module")
def document():
    return load()


def test_every_variable_and_local_is_declared_and_used(document):
    assert references(document, r"\bvar\.(\w+)") == names(document, "variable")
    assert references(document, r"\blocal\.(\w+)") == names(document, "locals")


def test_every_reference_is_to_something_declared(document):
    there = {
        f"{prefix}{type_}.{name}"
        for kind, prefix in (("resource", ""), ("data", "data."), ("ephemeral", "ephemeral."))
        for type_, name in declared(document, kind)
    }
    used = references(document, r"(?<![\w.\"/-])((?:data\.|ephemeral\.)?aws_\w+\.\w+)")
    assert used
    assert used <= there


def test_every_argument_is_one_of_the_providers(document):
    problems = [
        problem
        for kind in ("resource", "data", "ephemeral")
        for (type_, name), body in declared(document, kind).items()
        for problem in unknown_arguments(body, SCHEMA[kind][type_], f"{type_}.{name}")
    ]
    assert problems == []


def test_terraform_itself_finds_it_valid(tmp_path):
    plugins = os.environ.get("THIRDSENTRY_TESTS_TERRAFORM_PLUGINS")
    for path in ECS.glob("*.tf"):
        shutil.copy(path, tmp_path)
    commands = [["init", "-backend=false", "-input=false", f"-plugin-dir={plugins}"], ["validate"]]
    for command in commands if plugins else []:
        finished = subprocess.run(
            [shutil.which("terraform"), *command],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert finished.returncode == 0, finished.stderr


def test_no_policy_of_a_role_has_a_wildcard_action(document):
    roles = {"pipeline", "dagster", "execution", "tasks_assume"}
    seen = set()
    for policy, statement in statements(document):
        if policy in roles:
            seen.add(policy)
            assert not [one for one in statement["actions"] if "*" in one], statement
            if statement.get("resources") == ["*"]:
                assert set(statement["actions"]) <= ON_ANY_RESOURCE
    assert seen == roles


def test_every_action_is_one_that_aws_knows(document):
    known = {action.lower() for action in get_all_actions()}
    granted = {action for _, one in statements(document) for action in one["actions"]}
    assert {one for one in granted if "*" not in one and one.lower() not in known} == set()


def test_only_the_pipeline_may_assume_customers_roles_and_use_their_keys(document):
    held = {}
    for policy, statement in statements(document):
        for action in statement["actions"]:
            held.setdefault(action, []).append((policy, statement))
    ((owner, assume),) = [one for one in held["sts:AssumeRole"] if one[0] != "tasks_assume"]
    assert owner == "pipeline"
    assert assume["resources"] == "${var.customer_role_arns}"
    ((owner, key),) = held["kms:GenerateDataKeyWithoutPlaintext"]
    assert owner == "pipeline"
    assert key["resources"] == ["${aws_kms_key.organizations.arn}"]
    # What the product calls on its own side, each granted once more than nowhere.
    for action in (
        "s3:PutObjectRetention",
        "s3:ListBucketVersions",
        "s3:GetObjectVersion",
        "sns:Publish",
    ):
        assert {policy for policy, _ in held[action]} == {"pipeline"}


def test_the_database_is_private_encrypted_and_speaks_tls_alone(document):
    resources = declared(document, "resource")
    database = resources["aws_db_instance", "warehouse"]
    assert database["publicly_accessible"] is False
    assert database["storage_encrypted"] is True
    assert database["deletion_protection"] is True
    parameters = resources["aws_db_parameter_group", "warehouse"]["parameter"]
    assert {one["name"]: one["value"] for one in parameters}["rds.force_ssl"] == "1"
    assert "sslmode=verify-full" in next(
        one["url_options"] for one in document["locals"] if "url_options" in one
    )


def test_nothing_has_a_public_address(document):
    resources = declared(document, "resource")
    (service,) = [body for (type_, _), body in resources.items() if type_ == "aws_ecs_service"]
    assert service["network_configuration"][0]["assign_public_ip"] is False
    kinds = {type_ for type_, _ in resources}
    assert not kinds & {"aws_eip", "aws_internet_gateway", "aws_lb", "aws_lb_listener"}
    for (type_, name), body in resources.items():
        if type_ == "aws_vpc_security_group_ingress_rule":
            assert "cidr_ipv4" not in body, name


def test_anchors_are_under_a_lock_that_nobody_lifts(document):
    resources = declared(document, "resource")
    assert resources["aws_s3_bucket", "anchors"]["object_lock_enabled"] is True
    lock = resources["aws_s3_bucket_object_lock_configuration", "anchors"]
    assert lock["rule"][0]["default_retention"][0]["mode"] == "COMPLIANCE"
    closed = resources["aws_s3_bucket_public_access_block", "all"]
    assert all(
        closed[name] is True
        for name in closed
        if name.startswith(("block_", "restrict_", "ignore_"))
    )


def test_passwords_are_ephemeral_and_reach_the_state_nowhere(document):
    passwords = [
        text for text in texts(document) if "ephemeral." in text and "random_password" in text
    ]
    assert len(passwords) == 2
    bodies = declared(document, "resource")
    for (type_, name), body in bodies.items():
        for argument, value in body.items():
            if "ephemeral." in " ".join(texts(value)):
                assert argument.endswith("_wo"), f"{type_}.{name}.{argument}"


def test_no_task_has_a_secret_in_its_plain_environment(document):
    (environment,) = [one["environment"] for one in document["locals"] if "environment" in one]
    (variables,) = [one["variable_of"] for one in document["locals"] if "variable_of" in one]
    assert not set(environment) & set(variables.values())
    assert not [name for name in environment if re.search("URL|PASSWORD|TOKEN", name)]
    (secrets,) = [one["secrets_of"] for one in document["locals"] if "secrets_of" in one]
    # The administrator's is for migrations, and the daemon collects nothing.
    assert secrets["dagster"] == ["dagster"]
    (working,) = [one["working_logins"] for one in document["locals"] if "working_logins" in one]
    assert "admin" not in working
    assert secrets["run"] == "${local.working_logins}"
