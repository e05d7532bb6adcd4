"""Clients for the sandbox's own tests: each test works in an account of its own."""

import itertools
import json

import boto3
import pytest
from botocore.config import Config

_accounts = itertools.count(700000000000)
EXTERNAL_ID = "customer-external-id-1"


class CustomerAccount:
    """One customer account with a role that trusts the vendor's principal."""

    def __init__(self, sandbox, account_id):
        self.sandbox = sandbox
        self.account_id = account_id
        self.role_arn = sandbox.admin.create_role(account_id, "Auditor", self.trust_policy())

    def trust_policy(self, principal=None, condition=None):
        principal = principal or self.sandbox.environment["THIRDSENTRY_PRINCIPAL_ARN"]
        condition = condition or {"StringEquals": {"sts:ExternalId": EXTERNAL_ID}}
        return {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"AWS": principal},
                    "Action": "sts:AssumeRole",
                    "Condition": condition,
                }
            ],
        }

    def root(self, service, region="us-east-1"):
        return self.sandbox.admin.client(service, self.account_id, region)

    def assume(self, **more):
        wanted = {
            "RoleArn": self.role_arn,
            "RoleSessionName": "thirdsentry-test",
            "ExternalId": EXTERNAL_ID,
            "DurationSeconds": 900,
            **more,
        }
        wanted = {name: value for name, value in wanted.items() if value is not None}
        return vendor_client(self.sandbox, "sts").assume_role(**wanted)["Credentials"]

    def session(self, service, region="us-east-1", credentials=None, **more):
        credentials = credentials or self.assume(**more)
        made = role_client(self.sandbox, service, credentials, region)
        prefix = f"//{self.account_id}."

        def drop_host_prefix(request, **_):
            request.url = request.url.replace(prefix, "//", 1)

        made.meta.events.register("before-send.s3-control", drop_host_prefix)
        return made


def role_client(sandbox, service, credentials, region="us-east-1"):
    return boto3.client(
        service,
        region_name=region,
        endpoint_url=sandbox.endpoint_url,
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
        config=Config(retries={"total_max_attempts": 1}, read_timeout=5),
    )


def vendor_client(sandbox, service, region="us-east-1"):
    environment = sandbox.environment
    return boto3.client(
        service,
        region_name=region,
        endpoint_url=sandbox.endpoint_url,
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
    )


@pytest.fixture
def account(sandbox):
    """A customer account nobody else uses; its faults end with the test."""
    yield CustomerAccount(sandbox, str(next(_accounts)))
    sandbox.admin.clear_faults()


@pytest.fixture
def vendor(sandbox):
    """Makes clients that act as the vendor's principal."""
    return lambda service, region="us-east-1": vendor_client(sandbox, service, region)


def policy_of(*actions, effect="Allow"):
    """A policy document (text) about these actions."""
    entry = {"Effect": effect, "Action": list(actions), "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [entry]})
