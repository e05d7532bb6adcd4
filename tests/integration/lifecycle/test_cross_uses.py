"""Sealed ids and keys that someone with all rights on the database moved: none opens, none is sent.

Each move is made in the rows, then a sync asks the real KMS API of the sandbox.
"""

import pytest

from tests.integration.operations.lab import ACCOUNT, ORGANIZATION, OTHER_ORGANIZATION
from thirdsentry_pipeline.domain.errors import RunFailedError
from thirdsentry_pipeline.domain.evidence import ErrorCode
from thirdsentry_pipeline.operations.key_rotation import rotate_data_key
from thirdsentry_pipeline.operations.onboarding import onboard
from thirdsentry_pipeline.operations.sync_results import SyncStatus

pytestmark = pytest.mark.integration

SECOND_ACCOUNT = "222222222222"
THEIR_ACCOUNT = "333333333333"
SEALED = (
    "select credential_blob, key_version from warehouse.connections where account_id = :account_id"
)
PUT = """
    update warehouse.connections set credential_blob = :credential_blob, key_version = :key_version
    where account_id = :account_id
"""
PUT_PENDING = "update warehouse.pending_external_ids set credential_blob = :credential_blob"
COPY_KEY = """
    insert into warehouse.organization_data_keys (organization_id, key_version, kms_key_id, wrapped_key)
    select :to, key_version, kms_key_id, wrapped_key from warehouse.organization_data_keys
    where organization_id = :from and key_version = 2
"""


@pytest.fixture
def town(acme):
    """Acme with two accounts and an id onboarded for a third; Globex with one."""
    acme.connected(account_id=ACCOUNT)
    acme.connected(account_id=SECOND_ACCOUNT)
    acme.organization(OTHER_ORGANIZATION, "Globex")
    acme.connected(OTHER_ORGANIZATION, THEIR_ACCOUNT)
    onboard(acme.services, ORGANIZATION)
    assert acme.sync().status is SyncStatus.SUCCEEDED
    acme.admin.clear_calls()
    return acme


def move(town, source, target, **changed):
    sealed = town.one(SEALED, account_id=source)
    town.change(PUT, **{**sealed, **changed, "account_id": target})


def refused(town, account_id=ACCOUNT):
    """The account's part of a sync: its run failed before STS heard of the role."""
    outcome = {one.account_id: one for one in town.sync().connections}[account_id]
    assert outcome.error_code is ErrorCode.KEY_UNAVAILABLE
    opened = town.admin.calls(action="sts:AssumeRole")
    assert [one for one in opened if f":{account_id}:" in (one["role_arn"] or "")] == []


def test_a_blob_of_another_connection_does_not_open(town):
    move(town, SECOND_ACCOUNT, ACCOUNT)
    refused(town)


def test_a_blob_of_another_organization_does_not_open(town):
    move(town, THEIR_ACCOUNT, ACCOUNT)
    refused(town)


def test_a_blob_with_the_key_of_its_organization_moved_along_is_refused_by_kms(town):
    rotate_data_key(town.services, OTHER_ORGANIZATION)
    town.change(COPY_KEY, **{"from": OTHER_ORGANIZATION, "to": ORGANIZATION})
    move(town, THEIR_ACCOUNT, ACCOUNT)
    town.admin.clear_calls()
    refused(town)
    refusals = [one for one in town.admin.calls(action="kms:Decrypt") if one["status"] == 400]
    assert len(refusals) == 1


def test_a_blob_of_another_key_version_does_not_open(town):
    former = town.one(SEALED, account_id=ACCOUNT)
    rotate_data_key(town.services, ORGANIZATION)
    town.change(PUT, **{**former, "key_version": 2, "account_id": ACCOUNT})
    refused(town)
    town.change(PUT, **former, account_id=ACCOUNT)
    assert town.sync().status is SyncStatus.SUCCEEDED


def test_a_pending_id_does_not_open_as_a_connections(town):
    town.change(
        "update warehouse.connections c set credential_blob = p.credential_blob"
        " from warehouse.pending_external_ids p where c.account_id = :account_id",
        account_id=ACCOUNT,
    )
    refused(town)


def test_a_connections_id_does_not_open_as_the_pending_one(town):
    town.change(
        PUT_PENDING, credential_blob=town.one(SEALED, account_id=ACCOUNT)["credential_blob"]
    )
    with pytest.raises(RunFailedError) as error:
        onboard(town.services, ORGANIZATION)
    assert error.value.code is ErrorCode.KEY_UNAVAILABLE


def test_unmoved_everything_opens(town):
    for account_id in (ACCOUNT, SECOND_ACCOUNT):
        town.change(PUT, **town.one(SEALED, account_id=account_id), account_id=account_id)
    assert town.sync().status is SyncStatus.SUCCEEDED
