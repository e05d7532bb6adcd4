"""Processes killed with SIGKILL, at every step of a sync and at random moments."""

import pytest

from tests.faults.steps import AFTER_COMMIT, BEFORE_COMMIT

pytestmark = pytest.mark.integration

KILLED = -9
OBSERVATIONS = "select count(*) from warehouse.evidence_observations"
UNENDED = "select count(*) from warehouse.connector_runs where status = 'running'"
ABANDONED = "select count(*) from warehouse.connector_runs where status = 'abandoned'"
NO_RUN_ROW = ("before the run row", "after the run row", "before the run row commits")


@pytest.mark.fault(1)
@pytest.mark.parametrize("step", BEFORE_COMMIT)
def test_killed_before_the_commit_a_sync_leaves_nothing(town, twin, step):
    victim = town.victim(step=step)
    assert victim.wait() == KILLED, victim.said()
    lab = town.lab
    assert lab.value(OBSERVATIONS) == 0
    assert lab.value(UNENDED) == (0 if step in NO_RUN_ROW else 1)
    town.heal()
    assert lab.value(ABANDONED) == (0 if step in NO_RUN_ROW else 1)
    assert lab.value(UNENDED) == 0
    assert town.digest() == twin


@pytest.mark.fault(1)
@pytest.mark.parametrize("step", AFTER_COMMIT)
def test_killed_after_the_commit_a_sync_leaves_everything(town, twin, step):
    victim = town.victim(step=step)
    assert victim.wait() == KILLED, victim.said()
    lab = town.lab
    assert lab.value(OBSERVATIONS) == 7
    assert lab.value("select status from warehouse.connector_runs") == "succeeded"
    town.heal()
    assert lab.value(ABANDONED) == 0
    assert town.digest() == twin
