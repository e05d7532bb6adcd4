"""Runs that are cancelled, told to stop, or starved of memory end in every store."""

import signal

import pytest

from tests.faults.steps import was_acknowledged
from tests.faults.town import WHOLE
from tests.integration.lifecycle.test_revoking import until
from tests.integration.operations.lab import ACCOUNT

pytestmark = pytest.mark.integration

# Cancelled in Dagster's UI, a run gets SIGINT.
TOLD = {"cancelled": signal.SIGINT, "terminated": signal.SIGTERM}
HELD = """
    select count(*) from pg_locks as l
    inner join pg_stat_activity as a using (pid)
    where a.datname = current_database() and a.usename = 'thirdsentry_pipeline'
        and l.locktype in ('relation', 'transactionid', 'tuple', 'advisory')
"""
NEVER_DONE = 100_000


@pytest.fixture
def endless_report(town):
    """The first account's credential report never gets finished, so a sync waits for it."""
    town.lab.admin.set_credential_report(ACCOUNT, polls=NEVER_DONE)
    town.lab.admin.clear_calls()
    yield
    town.lab.admin.set_credential_report(ACCOUNT, polls=0)


@pytest.mark.fault(3)
@pytest.mark.parametrize("told", TOLD)
def test_a_run_that_is_told_to_stop_is_terminal_everywhere(town, endless_report, told):
    before, failed = town.observations(), town.runs("failed")
    victim = town.victim()
    until(lambda: town.lab.admin.calls(action="iam:GenerateCredentialReport"))
    victim.kill(TOLD[told])
    assert victim.wait() != -signal.SIGKILL
    if was_acknowledged(victim):
        # A machine so busy that a minute went by: it was told after the end, which stands.
        assert town.observations() == before + WHOLE
    else:
        ended_without_observations(town, before, failed)
    town.lab.admin.set_credential_report(ACCOUNT, polls=0)
    town.heal()


@pytest.mark.fault(3)
def test_a_run_without_memory_is_terminal_and_leaves_nothing(town):
    before, failed = town.observations(), town.runs("failed")
    victim = town.victim(step="before the role is assumed", act="starve")
    assert victim.wait() == 1, victim.said()
    ended_without_observations(town, before, failed)
    town.heal()


def ended_without_observations(town, before, failed):
    with town.instance() as instance:
        (run,) = instance.get_runs(limit=1)
        assert run.is_finished
    assert town.observations() == before
    assert town.runs("failed") == failed + 1
    assert town.runs("running") == 0
    assert town.lab.value(HELD) == 0
