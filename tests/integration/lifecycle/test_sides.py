"""A refused `connect` says whose side has to act, and stores nothing."""

import pytest

from tests.integration.operations.lab import ACCOUNT, ORGANIZATION

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("installation")]

KMS_OUT_OF_REACH = ["AccessDeniedException", "DisabledException", "KMSInvalidStateException"]


def connected(thirdsentry, arn):
    return thirdsentry("connect", "--organization", ORGANIZATION, "--role-arn", arn, "--json")


def refused(acme, outcome, *words):
    assert (outcome.code, outcome.out) == (1, "")
    sentence = outcome.err.splitlines()[-1]
    assert all(word in sentence for word in words), sentence
    assert acme.value("select count(*) from warehouse.connections") == 0
    assert acme.audited("connect") == []


@pytest.mark.parametrize("error_code", KMS_OUT_OF_REACH)
def test_a_kms_key_out_of_reach_is_ours(acme, thirdsentry, error_code):
    arn = acme.role()
    acme.admin.inject_fault(action="kms:Decrypt", error_code=error_code)
    refused(
        acme, connected(thirdsentry, arn), "On our side", "THIRDSENTRY_KMS_KEY_ID", error_code[:8]
    )


@pytest.mark.parametrize("key_id", [None, "alias/nowhere"])
def test_a_kms_key_that_is_not_there_is_ours(acme, thirdsentry, monkeypatch, key_id):
    arn = acme.role()
    if key_id is None:
        monkeypatch.delenv("THIRDSENTRY_KMS_KEY_ID")
    else:
        monkeypatch.setenv("THIRDSENTRY_KMS_KEY_ID", key_id)
    refused(acme, connected(thirdsentry, arn), "On our side", "THIRDSENTRY_KMS_KEY_ID")


def test_missing_platform_credentials_are_ours(acme, thirdsentry, monkeypatch):
    arn = acme.role()
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    refused(acme, connected(thirdsentry, arn), "On our side", "AWS_ACCESS_KEY_ID")


def test_a_database_that_goes_away_is_ours(acme, thirdsentry):
    arn = acme.role()
    acme.change("revoke insert on warehouse.connections from ts_pipeline")
    refused(acme, connected(thirdsentry, arn), "On our side", "SQLSTATE 42501")


@pytest.mark.usefixtures("no_waits")
def test_a_role_that_does_not_open_is_the_customers(acme, thirdsentry, monkeypatch):
    monkeypatch.setattr("thirdsentry_pipeline.aws.role_session._RETRY_PAUSES", ())
    arn = acme.role()
    acme.shut()
    refused(acme, connected(thirdsentry, arn), "On the customer's side", "trust policy")


def test_another_account_behind_the_role_is_the_customers(acme, thirdsentry):
    arn = acme.role()
    acme.admin.set_identity(ACCOUNT, "222222222222")
    refused(acme, connected(thirdsentry, arn), "On the customer's side", "222222222222")


@pytest.mark.parametrize(
    ("error_code", "http_status"), [("Throttling", 400), ("ServiceUnavailable", 503)]
)
def test_an_sts_that_does_not_answer_is_awss(acme, thirdsentry, error_code, http_status):
    arn = acme.role()
    acme.admin.inject_fault(
        ACCOUNT, action="sts:AssumeRole", error_code=error_code, http_status=http_status
    )
    refused(acme, connected(thirdsentry, arn), "On AWS's side")


def test_denied_actions_are_named_and_are_the_customers(acme, thirdsentry):
    arn = acme.role()
    acme.admin.inject_fault(ACCOUNT, action="iam:GetAccountPasswordPolicy")
    acme.admin.inject_fault(
        ACCOUNT,
        action="s3:GetAccountPublicAccessBlock",
        error_code="ServiceUnavailable",
        http_status=503,
    )
    outcome = connected(thirdsentry, arn)
    assert outcome.code == 3
    assert outcome.document["status"] == "active"
    assert outcome.document["failures"] == {
        "aws.iam.password_policy": {
            "side": "customer's",
            "needs": ["iam:GetAccountPasswordPolicy"],
        },
        "aws.s3.account_public_access_block": {"side": "AWS's", "needs": []},
    }
    reauthenticated = thirdsentry(
        "reauth",
        *("--organization", ORGANIZATION),
        *("--connection", outcome.document["connection_id"]),
    )
    assert reauthenticated.code == 3
    assert "iam:GetAccountPasswordPolicy" in reauthenticated.err
    assert "customer's" in reauthenticated.out
