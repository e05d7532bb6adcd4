"""Sealed external ids: every cross-use is refused, and KMS is asked with the right context."""

from uuid import uuid4

import pytest

from tests.integration.operations.lab import ORGANIZATION, OTHER_ORGANIZATION
from thirdsentry_pipeline.domain.errors import RunFailedError
from thirdsentry_pipeline.domain.evidence import ErrorCode
from thirdsentry_pipeline.operations.credentials import (
    SealedCredential,
    open_external_id,
    seal_external_id,
)

pytestmark = pytest.mark.integration

SECRET = "an-external-id-0001"


@pytest.fixture
def sealed(organization_lab):
    organization_lab.organization(OTHER_ORGANIZATION, "Other")
    connection_id = uuid4()
    made = seal_external_id(organization_lab.services, ORGANIZATION, connection_id, SECRET)
    return organization_lab, connection_id, made


def test_it_opens_for_its_own_connection_and_never_shows(sealed):
    lab, connection_id, made = sealed
    assert open_external_id(lab.services, ORGANIZATION, connection_id, made) == SECRET
    assert SECRET.encode() not in made.blob
    assert repr(made) == "SealedCredential(key_version=1)"


def test_two_seals_of_one_id_differ(sealed):
    lab, connection_id, made = sealed
    again = seal_external_id(lab.services, ORGANIZATION, connection_id, SECRET)
    assert again.blob != made.blob
    assert lab.value("select count(*) from warehouse.organization_data_keys") == 1


def refused(lab, organization_id, connection_id, sealed):
    with pytest.raises(RunFailedError) as caught:
        open_external_id(lab.services, organization_id, connection_id, sealed)
    assert caught.value.code is ErrorCode.KEY_UNAVAILABLE
    assert SECRET not in str(caught.value)


def test_it_does_not_open_for_another_connection(sealed):
    lab, _, made = sealed
    refused(lab, ORGANIZATION, uuid4(), made)


def test_it_does_not_open_for_another_organization_with_or_without_a_key(sealed):
    lab, connection_id, made = sealed
    refused(lab, OTHER_ORGANIZATION, connection_id, made)
    seal_external_id(lab.services, OTHER_ORGANIZATION, connection_id, "another-id-0002")
    refused(lab, OTHER_ORGANIZATION, connection_id, made)


def test_it_does_not_open_under_another_key_version_or_changed(sealed):
    lab, connection_id, made = sealed
    refused(lab, ORGANIZATION, connection_id, SealedCredential(made.blob, 2))
    for place in (0, 1, 20, len(made.blob) - 1):
        changed = bytearray(made.blob)
        changed[place] ^= 1
        refused(lab, ORGANIZATION, connection_id, SealedCredential(bytes(changed), 1))
    refused(lab, ORGANIZATION, connection_id, SealedCredential(b"", 1))


def test_another_organizations_wrapped_key_does_not_unwrap(sealed):
    lab, connection_id, _ = sealed
    seal_external_id(lab.services, OTHER_ORGANIZATION, connection_id, "another-id-0002")
    wrapped = bytes(
        lab.value(
            "select wrapped_key from warehouse.organization_data_keys where organization_id = :id",
            id=ORGANIZATION,
        )
    )
    assert len(lab.services.keys.unwrap(ORGANIZATION, 1, wrapped)) == 32
    with pytest.raises(RunFailedError):
        lab.services.keys.unwrap(OTHER_ORGANIZATION, 1, wrapped)
    with pytest.raises(RunFailedError):
        lab.services.keys.unwrap(ORGANIZATION, 2, wrapped)
