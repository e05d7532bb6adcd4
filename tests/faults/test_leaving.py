"""A customer who leaves in the middle of a read, and a pruning in the middle of one."""

from datetime import timedelta
from threading import Thread

import pytest
from sqlalchemy import text

from tests.faults.town import sync
from tests.faults.twin import digest
from tests.faults.village import village
from tests.faults.world import world
from tests.integration.operations.lab import ORGANIZATION, OTHER_ORGANIZATION
from thirdsentry_pipeline.operations import sync_connection
from thirdsentry_pipeline.operations.connecting import revoke
from thirdsentry_pipeline.operations.retention import prune_organizations

pytestmark = pytest.mark.integration

__all__ = ["village", "world"]

LEFT = """
    select status, credential_blob is null as forgot, key_version is null as forgot_key
    from warehouse.connections where organization_id = :id
"""
CONNECTION = "select connection_id from warehouse.connections where organization_id = :id"
READS = "select count(*) from warehouse.evidence_observations where organization_id = :id"
STEPS = {
    "before the run row": ("runs", "start_run"),
    "before the credential opens": (None, "open_external_id"),
    "before the role is assumed": (None, "open_role_session"),
    "before the first call": (None, "collect_account"),
    "before evidence is written": ("evidence", "record_readings"),
}


def of(organization_id, digest):
    """What a digest says of one organization."""
    return {
        name: [row for row in found if organization_id in row] for name, found in digest.items()
    }


@pytest.mark.fault(27)
@pytest.mark.parametrize("step", STEPS)
def test_revoked_at_any_step_a_run_writes_nothing_more(village, step, monkeypatch):
    lab = village
    known = digest(lab.database.engine("admin"))
    connection_id = lab.value(CONNECTION, id=ORGANIZATION)
    module, name = STEPS[step]
    owner = sync_connection if module is None else getattr(sync_connection, module)
    real = getattr(owner, name)
    leaving = Thread(
        target=revoke, args=(lab.services, ORGANIZATION, str(connection_id)), daemon=True
    )

    def left(*arguments, **named):
        # In a transaction that holds the connection a revocation waits; elsewhere it is done.
        leaving.start()
        leaving.join(timeout=0.3 if step == "before the run row" else 20)
        return real(*arguments, **named)

    monkeypatch.setattr(owner, name, left)
    done = sync(lab, ORGANIZATION)
    monkeypatch.setattr(owner, name, real)
    leaving.join(timeout=20)
    assert not leaving.is_alive()
    assert done.status == "failed"
    assert lab.rows(LEFT, id=ORGANIZATION) == [
        {"status": "revoked", "forgot": True, "forgot_key": True}
    ]
    assert lab.value(READS, id=ORGANIZATION) == 7, "the history stays and gets nothing more"
    assert (
        lab.value(
            "select count(*) from warehouse.evidence where organization_id = :id", id=ORGANIZATION
        )
        == 7
    )
    assert sync(lab, OTHER_ORGANIZATION).status == "succeeded"
    now_known = digest(lab.database.engine("admin"))
    assert of(OTHER_ORGANIZATION, now_known) == of(OTHER_ORGANIZATION, known)


@pytest.mark.fault(27)
def test_a_pruning_during_a_read_takes_what_is_old_and_nothing_of_the_read(world, monkeypatch):
    admin = world.database.engine("admin")
    with admin.begin() as c:
        c.execute(text("update warehouse.organizations set retention_days = 365"))
    for _ in range(2):
        world.sync(world.organization, by_schedule=False)
    world.clock.tick(timedelta(days=400).total_seconds())
    pruned = []

    def pruning(session, types, **more):
        pruned.extend(prune_organizations(world.services.pipeline, [world.organization]))
        return world.collected(session, types, **more)

    monkeypatch.setattr(sync_connection, "collect_account", pruning)
    world.sync(world.organization, by_schedule=False)
    assert [one.problem for one in pruned] == [None]
    assert pruned[0].pruned.observations > 0
    with admin.connect() as c:
        kept = c.execute(
            text("select count(*), max(observed_at) from warehouse.evidence_observations")
        ).one()
    assert kept[0] >= 7
    assert kept[1] >= world.clock() - timedelta(minutes=5)
