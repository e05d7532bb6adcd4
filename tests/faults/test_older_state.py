"""A database that is older than what the world has seen: a backup, or a standby that lagged."""

import pytest

from tests.databases import WarehouseDatabase
from tests.faults.twin import digest
from tests.faults.village import read_all, village
from tests.integration.operations.lab import ORGANIZATION
from thirdsentry_pipeline.aws.anchors import AnchorBucket
from thirdsentry_pipeline.operations.audit import (
    anchor_organizations,
    broken_sentence,
    verify_organization,
)

pytestmark = pytest.mark.integration

__all__ = ["village"]


@pytest.fixture
def bucket(village, sandbox_environment):
    s3 = village.services.platform.client("s3")
    return AnchorBucket(s3, sandbox_environment["THIRDSENTRY_ANCHOR_BUCKET"])


@pytest.mark.fault(6)
def test_an_older_state_is_told_by_the_anchors_and_filled_by_the_next_sync(village, bucket):
    services, database = village.services, village.database
    known = digest(database.engine("admin"))
    backup = WarehouseDatabase(database.server, f"{database.name}_backup", database.name)
    database.dispose()
    backup.reset()
    backup.dispose()
    read_all(village)
    anchored = anchor_organizations(services.pipeline, services.scheduler, bucket)
    assert all(one.is_new for one in anchored)
    assert verify_organization(services.pipeline, ORGANIZATION, bucket).chain.is_intact

    usual, database.template = database.template, backup.name
    services.pipeline.dispose()
    services.scheduler.dispose()
    try:
        database.reset()
    finally:
        database.template = usual
        backup.drop()

    chain = verify_organization(services.pipeline, ORGANIZATION, bucket).chain
    assert not chain.is_intact
    assert chain.broken_seq > chain.seq, "the anchor names a row that the log never reached"
    assert str(chain.broken_seq) in broken_sentence(ORGANIZATION, chain)
    refused = anchor_organizations(services.pipeline, services.scheduler, bucket)
    assert not any(one.is_new for one in refused)
    assert all("broken" in one.problem for one in refused)
    read_all(village)
    assert digest(database.engine("admin")) == known
    assert not verify_organization(services.pipeline, ORGANIZATION, bucket).chain.is_intact
