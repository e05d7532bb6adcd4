"""Organizations, onboarding and connections from the command line, with their exit codes."""

import io
import json

import pytest

from tests.integration.operations.lab import ACCOUNT, ORGANIZATION, OTHER_ORGANIZATION

CONNECTION = "3f0c9a52-6b1e-4d7a-9c55-0a8e2f4b7d10"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/ThirdSentry"


@pytest.mark.parametrize(
    "arguments",
    [
        ("onboard", "--organization", ORGANIZATION),
        ("connect", "--organization", ORGANIZATION, "--role-arn", ROLE),
        ("reauth", "--organization", ORGANIZATION, "--connection", CONNECTION),
        ("revoke", "--organization", ORGANIZATION, "--connection", CONNECTION),
        ("sync", "--organization", ORGANIZATION),
        ("status", "--organization", ORGANIZATION),
        ("coverage", "--organization", ORGANIZATION),
        ("evidence", "--organization", ORGANIZATION),
    ],
    ids=lambda parts: parts[0],
)
def test_unknown_organization_is_exit_2(thirdsentry, arguments):
    outcome = thirdsentry(*arguments, "--json")
    assert outcome.code == 2
    assert outcome.out == ""
    assert ORGANIZATION in outcome.err.splitlines()[-1]


def test_organizations_are_added_once_and_listed(thirdsentry):
    add = ("organization", "add", "--id", ORGANIZATION, "--json", "--name")
    assert thirdsentry("organization", "list", "--json").document == []
    assert thirdsentry(*add, "Acme").document["is_new"] is True
    assert thirdsentry(*add, "Acme").document["is_new"] is False
    assert thirdsentry(*add, "Other").code == 2
    assert thirdsentry("organization", "list", "--json").document == [
        {"organization_id": ORGANIZATION, "name": "Acme"}
    ]


def test_onboarding_names_the_settings_it_lacks(thirdsentry, lab, monkeypatch):
    lab.organization()
    for name in ("THIRDSENTRY_KMS_KEY_ID", "THIRDSENTRY_PRINCIPAL_ARN"):
        with monkeypatch.context() as without:
            without.delenv(name)
            outcome = thirdsentry("onboard", "--organization", ORGANIZATION)
        assert outcome.code == 1
        assert name in outcome.sentence


def test_unreachable_aws_names_its_setting(thirdsentry, lab, monkeypatch):
    lab.organization()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    outcome = thirdsentry("onboard", "--organization", ORGANIZATION)
    assert outcome.code == 1
    assert "AWS_ENDPOINT_URL" in outcome.sentence


def test_onboarding_shows_the_same_id_in_every_form(thirdsentry, lab):
    lab.organization()
    made = thirdsentry("onboard", "--organization", ORGANIZATION, "--json").document
    assert set(made) >= {"trust_policy", "permission_policy", "principal_arn", "quick_create_url"}
    assert made["external_id"] in json.dumps(made["trust_policy"])
    for form in ("text", "json", "cloudformation", "terraform"):
        outcome = thirdsentry("onboard", "--organization", ORGANIZATION, "--format", form)
        assert outcome.code == 0
        assert made["external_id"] in outcome.out
        assert outcome.err == ""


def test_the_wide_policy_comes_with_its_warning(thirdsentry, lab):
    lab.organization()
    asked = ("onboard", "--organization", ORGANIZATION, "--json", "--policy")
    wide = thirdsentry(*asked, "read-only")
    assert "s3:GetObject" in wide.err
    assert len(wide.document["permission_policy"]["ManagedPolicyArns"]) == 2
    assert thirdsentry(*asked, "security-audit").document["warning"] is None


def test_connecting_stores_and_shows_one_read_per_type(thirdsentry, lab):
    lab.organization()
    arn = lab.role()
    outcome = thirdsentry("connect", "--organization", ORGANIZATION, "--role-arn", arn, "--json")
    assert outcome.code == 0
    assert outcome.document["account_id"] == ACCOUNT
    assert outcome.document["status"] == "active"
    assert len(outcome.document["reads"]) == 7
    read = outcome.document["reads"]["aws.iam.root_mfa"]
    assert set(read) == {"read_status", "verdict", "error_code"}
    assert read["read_status"] == "ok"


def test_connecting_with_a_denied_read_is_exit_3_and_stored(thirdsentry, lab):
    lab.organization()
    arn = lab.role()
    lab.admin.inject_fault(ACCOUNT, action="cloudtrail:*", error_code="AccessDeniedException")
    outcome = thirdsentry("connect", "--organization", ORGANIZATION, "--role-arn", arn, "--json")
    assert outcome.code == 3
    read = outcome.document["reads"]["aws.cloudtrail.multi_region_logging"]
    assert read == {"read_status": "denied", "verdict": None, "error_code": "denied"}
    assert outcome.document["status"] == "active"
    assert lab.value("select count(*) from warehouse.connections where status = 'active'") == 1


def test_unsafe_trust_policy_is_exit_1_and_nothing_is_stored(thirdsentry, lab):
    lab.organization()
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": lab.services.principal_arn},
                "Action": "sts:AssumeRole",
            }
        ],
    }
    arn = lab.role(trust=trust)
    outcome = thirdsentry("connect", "--organization", ORGANIZATION, "--role-arn", arn, "--json")
    assert (outcome.code, outcome.out) == (1, "")
    assert "sts:ExternalId" in outcome.err
    assert lab.value("select count(*) from warehouse.connections") == 0


def test_role_of_another_organization_is_refused_without_saying_whose(thirdsentry, lab):
    lab.organization()
    lab.connected()
    lab.organization(OTHER_ORGANIZATION, "Other")
    thirdsentry("onboard", "--organization", OTHER_ORGANIZATION)
    outcome = thirdsentry("connect", "--organization", OTHER_ORGANIZATION, "--role-arn", ROLE)
    assert outcome.code == 1
    assert ORGANIZATION not in outcome.err
    assert "Acme" not in outcome.err


def test_customers_own_external_id_comes_by_stdin(thirdsentry, lab, monkeypatch):
    lab.organization()
    made = thirdsentry("onboard", "--organization", ORGANIZATION, "--json").document
    trust = json.loads(
        json.dumps(made["trust_policy"]).replace(made["external_id"], "customers-own-id")
    )
    arn = lab.role(trust=trust)
    monkeypatch.setattr("sys.stdin", io.StringIO("customers-own-id\n"))
    asked = ("connect", "--organization", ORGANIZATION, "--role-arn", arn)
    outcome = thirdsentry(*asked, "--external-id-stdin")
    assert outcome.code == 0
    assert "customers-own-id" not in outcome.out + outcome.err


def test_reauth_proves_again_and_revoke_ends(thirdsentry, lab):
    lab.organization()
    connection_id = str(lab.connected())
    one = ("--organization", ORGANIZATION, "--connection", connection_id)
    assert thirdsentry("reauth", *one, "--json").document["status"] == "active"
    assert thirdsentry("revoke", *one, "--json").document["status"] == "revoked"
    assert thirdsentry("revoke", *one).code == 2
    outcome = thirdsentry("sync", "--organization", ORGANIZATION, "--json")
    assert (outcome.code, outcome.out) == (1, "")
    assert "no_live_connection" in outcome.sentence
