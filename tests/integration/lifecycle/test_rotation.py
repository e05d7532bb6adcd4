"""Rotation: a new data key, everything sealed again, one audit row, all or nothing."""

from dataclasses import replace

import pytest

from tests.integration.operations.lab import ACCOUNT, ORGANIZATION, OTHER_ORGANIZATION
from thirdsentry_pipeline.aws.kms import TenantKeys
from thirdsentry_pipeline.domain.errors import RunFailedError
from thirdsentry_pipeline.operations import credentials, key_rotation, sync_connection
from thirdsentry_pipeline.operations.connecting import connect, revoke, stored_external_id
from thirdsentry_pipeline.operations.key_rotation import rotate_data_key
from thirdsentry_pipeline.operations.onboarding import onboard
from thirdsentry_pipeline.operations.sync_results import SyncStatus

pytestmark = pytest.mark.integration

SECOND_ACCOUNT = "222222222222"
VERSIONS = """
    select key_version from warehouse.connections where organization_id = :organization_id
    union all
    select key_version from warehouse.pending_external_ids where organization_id = :organization_id
"""
EVERYTHING = """
    select connection_id::text as name, credential_blob, key_version from warehouse.connections
    union all
    select 'pending', credential_blob, key_version from warehouse.pending_external_ids
    order by name
"""


def versions(acme, organization_id=ORGANIZATION):
    return [row["key_version"] for row in acme.rows(VERSIONS, organization_id=organization_id)]


def keys_of(acme):
    return acme.value("select count(*) from warehouse.organization_data_keys")


def test_rotation_seals_every_live_id_again_with_one_audit_row(acme):
    live = [acme.connected(account_id=one) for one in (ACCOUNT, SECOND_ACCOUNT)]
    ids = [stored_external_id(acme.services, ORGANIZATION, one) for one in live]
    pending = onboard(acme.services, ORGANIZATION).external_id
    before = acme.rows(EVERYTHING)
    rotation = rotate_data_key(acme.services, ORGANIZATION)
    assert rotation.key_version == 2
    assert set(rotation.connection_ids) == set(live)
    assert versions(acme) == [2, 2, 2]
    after = acme.rows(EVERYTHING)
    assert all(
        old["credential_blob"] != new["credential_blob"]
        for old, new in zip(before, after, strict=True)
    )
    assert [stored_external_id(acme.services, ORGANIZATION, one) for one in live] == ids
    assert onboard(acme.services, ORGANIZATION).external_id == pending
    (audited,) = acme.audited("credential_rewrapped")
    assert audited["detail"]["key_version"] == 2
    assert set(audited["detail"]["connection_ids"]) == {str(one) for one in live}
    assert not [one for one in (*ids, pending) if one in str(audited)]
    assert acme.sync().status is SyncStatus.SUCCEEDED


def test_a_revoked_connection_is_left_without_a_blob(acme):
    connection_id = acme.connected()
    revoke(acme.services, ORGANIZATION, str(connection_id))
    assert rotate_data_key(acme.services, ORGANIZATION).connection_ids == ()
    assert versions(acme) == [None]


def test_another_organization_is_not_touched(acme):
    acme.connected()
    acme.organization(OTHER_ORGANIZATION, "Globex")
    acme.connected(OTHER_ORGANIZATION, SECOND_ACCOUNT)
    rotate_data_key(acme.services, ORGANIZATION)
    assert versions(acme, OTHER_ORGANIZATION) == [1]


@pytest.mark.parametrize("action", ["kms:Decrypt", "kms:GenerateDataKeyWithoutPlaintext"])
def test_without_kms_nothing_changes(acme, action):
    acme.connected()
    before = acme.rows(EVERYTHING)
    acme.admin.inject_fault(action=action, error_code="AccessDeniedException")
    with pytest.raises(RunFailedError, match="THIRDSENTRY_KMS_KEY_ID"):
        rotate_data_key(acme.services, ORGANIZATION)
    assert acme.rows(EVERYTHING) == before
    assert keys_of(acme) == 1
    assert acme.audited("credential_rewrapped") == []


def test_one_id_that_does_not_open_leaves_all_as_they_were(acme):
    acme.connected(account_id=ACCOUNT)
    broken = acme.connected(account_id=SECOND_ACCOUNT)
    acme.change(
        "update warehouse.connections set credential_blob = '\\x01ff' where connection_id = :id",
        id=broken,
    )
    before = acme.rows(EVERYTHING)
    with pytest.raises(RunFailedError, match=str(broken)):
        rotate_data_key(acme.services, ORGANIZATION)
    assert acme.rows(EVERYTHING) == before
    assert keys_of(acme) == 1


def test_rotation_moves_an_organization_to_another_kms_key(acme):
    acme.connected()
    kms = acme.services.platform.client("kms")
    successor = kms.create_key()["KeyMetadata"]["Arn"]
    moved = replace(acme.services, keys=TenantKeys(kms, successor))
    assert rotate_data_key(moved, ORGANIZATION).kms_key_id == successor
    acme.admin.clear_calls()
    acme.services = moved
    assert acme.sync().status is SyncStatus.SUCCEEDED


def test_a_connect_that_sealed_before_a_rotation_seals_again(acme, monkeypatch):
    arn = acme.role()
    seal = credentials.seal_external_id
    rotated = []

    def rotated_meanwhile(*arguments):
        sealed = seal(*arguments)
        if not rotated:
            rotated.append(rotate_data_key(acme.services, ORGANIZATION))
        return sealed

    monkeypatch.setattr(credentials, "seal_external_id", rotated_meanwhile)
    connect(acme.services, ORGANIZATION, arn)
    assert versions(acme) == [2]


def test_a_run_under_way_ends_well_while_the_key_is_rotated(acme, monkeypatch):
    acme.connected()
    opened = sync_connection.open_external_id

    def rotated_meanwhile(*arguments):
        rotate_data_key(acme.services, ORGANIZATION)
        return opened(*arguments)

    monkeypatch.setattr(sync_connection, "open_external_id", rotated_meanwhile)
    assert acme.sync().status is SyncStatus.SUCCEEDED
    assert versions(acme) == [2]


def test_two_rotations_at_once_make_two_versions(acme, monkeypatch):
    acme.connected()
    unwrap = key_rotation.unwrap_data_key
    meanwhile = []

    def rotated_meanwhile(*arguments, **more):
        if not meanwhile:
            meanwhile.append(1)
            meanwhile.append(rotate_data_key(acme.services, ORGANIZATION))
        return unwrap(*arguments, **more)

    monkeypatch.setattr(key_rotation, "unwrap_data_key", rotated_meanwhile)
    assert rotate_data_key(acme.services, ORGANIZATION).key_version == 3
    assert versions(acme) == [3]
    assert len(acme.audited("credential_rewrapped")) == 2


def test_the_command_rotates_and_tells(installation, acme, thirdsentry):
    connection_id = acme.connected()
    asked = ("keys", "rotate", "--organization", ORGANIZATION)
    document = thirdsentry(*asked, "--json").document
    assert document["key_version"] == 2
    assert document["connection_ids"] == [str(connection_id)]
    assert thirdsentry(*asked).out.startswith("Data key 3")
    unknown = thirdsentry("keys", "rotate", "--organization", OTHER_ORGANIZATION)
    assert (unknown.code, unknown.out) == (2, "")
