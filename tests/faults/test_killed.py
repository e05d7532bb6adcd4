"""Processes killed with SIGKILL, at every step of a sync and at random moments."""

import random
import time

import pytest

from tests.faults.steps import AFTER_COMMIT, BEFORE_COMMIT, parameters, was_acknowledged
from tests.faults.town import WHOLE, sync

pytestmark = pytest.mark.integration

KILLED = -9
NO_RUN_ROW = ("before the run row", "after the run row", "before the run row commits")


@pytest.mark.fault(1)
@pytest.mark.parametrize("step", parameters(BEFORE_COMMIT))
def test_killed_before_the_commit_a_sync_leaves_nothing(town, step):
    before, abandoned = town.observations(), town.runs("abandoned")
    victim = town.victim(step=step)
    assert victim.wait() == KILLED, victim.said()
    left = 0 if step in NO_RUN_ROW else 1
    assert town.observations() == before
    assert town.runs("running") == left
    town.heal()
    assert town.runs("abandoned") == abandoned + left


@pytest.mark.fault(1)
@pytest.mark.parametrize("step", parameters(AFTER_COMMIT))
def test_killed_after_the_commit_a_sync_leaves_everything(town, step):
    before, ended = town.observations(), town.runs("succeeded")
    victim = town.victim(step=step)
    assert victim.wait() == KILLED, victim.said()
    assert town.observations() == before + WHOLE
    assert town.runs("succeeded") == ended + 1
    assert town.runs("running") == 0
    town.heal()


@pytest.fixture
def lifetime(town):
    """How many seconds a sync that nobody kills takes at the moment."""
    began = time.monotonic()
    assert town.victim().wait() == 0
    taken = time.monotonic() - began
    assert sync(town.twin).status == "succeeded"
    return taken


@pytest.mark.timeout(1500)  # 25 runs, also where nothing but this machine's load slows them
@pytest.mark.fault(2)
def test_killed_at_any_moment_a_sync_leaves_all_or_nothing(town, lifetime, seeds, record_property):
    for seed in seeds:
        replay = f"replay with --first-seed {seed} --seeds 1"
        town.change()
        before = town.observations()
        victim = town.victim()
        time.sleep(random.Random(seed).random() * lifetime)  # noqa: S311 - a seeded replay
        victim.kill()
        ended = victim.wait()
        added = town.observations() - before
        assert added in ({WHOLE} if was_acknowledged(victim) else {0, WHOLE}), replay
        assert ended == KILLED or added == WHOLE, replay
        assert town.breaches() == [], replay
        # What holds after it is asked again after the next kill, and at the end.
        assert town.is_healed_by_a_retry(), replay
    record_property("seeds", len(seeds))
