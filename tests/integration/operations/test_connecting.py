"""Onboarding, connecting, reauthenticating, revoking: what is stored and what is refused."""

from dataclasses import replace

import pytest

from tests.integration.operations.lab import ACCOUNT, ORGANIZATION, OTHER_ORGANIZATION
from thirdsentry_pipeline.domain.errors import (
    ConfigurationError,
    InputError,
    RunFailedError,
    ThirdSentryError,
    UnsafeTrustPolicyError,
)
from thirdsentry_pipeline.domain.evidence import EvidenceType, ReadStatus
from thirdsentry_pipeline.operations.connecting import (
    connect,
    reauth,
    revoke,
    stored_external_id,
)
from thirdsentry_pipeline.operations.onboarding import onboard

pytestmark = pytest.mark.integration

OTHER_ACCOUNT = "222222222222"
CUSTOMERS_ID = "customer-chosen-id-0001"


def trust(lab, condition):
    made = onboard(lab.services, ORGANIZATION).trust_policy
    statement = {**made["Statement"][0]}
    statement.pop("Condition")
    if condition:
        statement["Condition"] = condition
    return {**made, "Statement": [statement]}


def nothing_is_stored(lab):
    return lab.value("select count(*) from warehouse.connections") == 0


def test_onboarding_shows_the_same_id_until_a_connection_uses_it(organization_lab):
    lab = organization_lab
    first = onboard(lab.services, ORGANIZATION)
    assert onboard(lab.services, ORGANIZATION).external_id == first.external_id
    assert first.external_id not in repr(first)
    lab.connected()
    assert onboard(lab.services, ORGANIZATION).external_id != first.external_id


def test_a_connection_is_proven_read_once_and_stored_sealed(organization_lab):
    lab = organization_lab
    external_id = onboard(lab.services, ORGANIZATION).external_id
    result = connect(lab.services, ORGANIZATION, lab.role())
    assert result.account_id == ACCOUNT
    assert set(result.reads) == set(EvidenceType)
    assert result.is_complete
    (row,) = lab.rows("select status, credential_blob from warehouse.connections")
    assert row["status"] == "active"
    assert external_id.encode() not in bytes(row["credential_blob"])
    assert stored_external_id(lab.services, ORGANIZATION, result.connection_id) == external_id
    (audited,) = lab.rows("select action, detail::text as detail from warehouse.audit_log")
    assert audited["action"] == "connect"
    assert external_id not in audited["detail"]
    assert lab.value("select count(*) from warehouse.evidence") == 0


@pytest.mark.parametrize(
    "condition",
    [None, {"StringLike": {"sts:ExternalId": "*"}}],
    ids=["no condition", "any external id"],
)
def test_an_open_trust_policy_is_refused_and_nothing_is_stored(organization_lab, condition):
    lab = organization_lab
    arn = lab.role(trust=trust(lab, condition))
    with pytest.raises(UnsafeTrustPolicyError, match="sts:ExternalId"):
        connect(lab.services, ORGANIZATION, arn)
    assert nothing_is_stored(lab)


def test_a_role_that_does_not_open_is_refused_without_showing_the_id(organization_lab):
    lab = organization_lab
    arn = lab.role(trust=trust(lab, {"StringEquals": {"sts:ExternalId": "somebody-elses-id"}}))
    with pytest.raises(RunFailedError, match="refused to open") as caught:
        connect(lab.services, ORGANIZATION, arn)
    assert onboard(lab.services, ORGANIZATION).external_id not in str(caught.value)
    assert nothing_is_stored(lab)


def test_another_organizations_role_or_external_id_is_refused(organization_lab):
    lab = organization_lab
    lab.organization(OTHER_ORGANIZATION, "Victim")
    victims_id = onboard(lab.services, OTHER_ORGANIZATION).external_id
    lab.connected(OTHER_ORGANIZATION)
    arn = f"arn:aws:iam::{ACCOUNT}:role/ThirdSentry"
    onboard(lab.services, ORGANIZATION)
    lab.admin.clear_calls()
    with pytest.raises(ThirdSentryError, match="role ARN"):
        connect(lab.services, ORGANIZATION, arn)
    with pytest.raises(ThirdSentryError, match="external id"):
        connect(lab.services, ORGANIZATION, lab.role(account_id=OTHER_ACCOUNT), victims_id)
    assert lab.admin.calls(action="sts:AssumeRole") == []
    assert lab.value("select count(*) from warehouse.connections") == 1


def test_a_refused_attempt_claims_nothing(organization_lab):
    lab = organization_lab
    lab.organization(OTHER_ORGANIZATION, "Rival")
    arn = f"arn:aws:iam::{ACCOUNT}:role/ThirdSentry"
    onboard(lab.services, OTHER_ORGANIZATION)
    with pytest.raises(RunFailedError):
        connect(lab.services, OTHER_ORGANIZATION, arn)
    assert lab.connected(ORGANIZATION)


def test_a_customer_may_use_its_own_id_for_a_second_account(organization_lab):
    lab = organization_lab
    policy = trust(lab, {"StringEquals": {"sts:ExternalId": CUSTOMERS_ID}})
    for account_id in (ACCOUNT, OTHER_ACCOUNT):
        arn = lab.role(account_id=account_id, trust=policy)
        assert connect(lab.services, ORGANIZATION, arn, CUSTOMERS_ID).is_complete
    with pytest.raises(ThirdSentryError, match="connected already"):
        connect(lab.services, ORGANIZATION, arn, CUSTOMERS_ID)


def test_a_denied_dry_read_is_stored_and_shown(organization_lab):
    lab = organization_lab
    arn = lab.role()
    lab.admin.inject_fault(ACCOUNT, action="guardduty:ListDetectors")
    result = connect(lab.services, ORGANIZATION, arn)
    assert result.status == "active"
    assert not result.is_complete
    assert result.reads[EvidenceType.GUARDDUTY_STATUS].read_status is ReadStatus.DENIED


def test_reauth_probes_again_and_replaces_the_id(organization_lab):
    lab = organization_lab
    connection_id = lab.connected()
    policy = trust(lab, {"StringEquals": {"sts:ExternalId": CUSTOMERS_ID}})
    lab.role(trust=policy)
    with pytest.raises(RunFailedError):
        reauth(lab.services, ORGANIZATION, str(connection_id))
    reauth(lab.services, ORGANIZATION, str(connection_id), external_id=CUSTOMERS_ID)
    assert stored_external_id(lab.services, ORGANIZATION, connection_id) == CUSTOMERS_ID
    assert reauth(lab.services, ORGANIZATION, str(connection_id)).is_complete
    other = f"arn:aws:iam::{OTHER_ACCOUNT}:role/ThirdSentry"
    with pytest.raises(InputError, match=OTHER_ACCOUNT):
        reauth(lab.services, ORGANIZATION, str(connection_id), role_arn=other)


def test_a_revoked_connection_forgets_its_secret_and_stays_revoked(organization_lab):
    lab = organization_lab
    connection_id = lab.connected()
    revoke(lab.services, ORGANIZATION, str(connection_id))
    (row,) = lab.rows("select status, credential_blob, deleted_at from warehouse.connections")
    assert row["status"] == "revoked"
    assert row["credential_blob"] is None
    assert row["deleted_at"] is not None
    for act in (revoke, reauth):
        with pytest.raises(InputError, match="revoked"):
            act(lab.services, ORGANIZATION, str(connection_id))
    assert lab.connected() != connection_id


def test_unknown_names_are_refused_with_a_sentence(lab):
    with pytest.raises(InputError, match="organization add"):
        onboard(lab.services, ORGANIZATION)
    lab.organization()
    with pytest.raises(InputError, match="thirdsentry onboard"):
        connect(lab.services, ORGANIZATION, f"arn:aws:iam::{ACCOUNT}:role/ThirdSentry")
    with pytest.raises(InputError, match="has no connection"):
        revoke(lab.services, ORGANIZATION, "6f9619ff-8b86-4011-b42d-00c04fc964ff")


def test_a_missing_principal_names_the_setting(organization_lab):
    services = replace(organization_lab.services, principal_arn=None)
    with pytest.raises(ConfigurationError, match="THIRDSENTRY_PRINCIPAL_ARN"):
        onboard(services, ORGANIZATION)
