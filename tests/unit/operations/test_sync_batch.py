"""Organizations of one run are synced side by side, and none waits for or falls with another."""

import threading
from contextlib import closing
from datetime import date

import pytest

from thirdsentry_pipeline.domain.errors import RunFailedError
from thirdsentry_pipeline.domain.evidence import EvidenceType
from thirdsentry_pipeline.operations import sync_batch
from thirdsentry_pipeline.operations.sync_batch import sync_organizations
from thirdsentry_pipeline.operations.sync_results import OrganizationSync

DAY, NEXT_DAY = date(2026, 11, 23), date(2026, 11, 24)
TYPES = tuple(EvidenceType)
SECONDS = 30


@pytest.fixture
def syncing(monkeypatch):
    """Lets a test say what syncing an organization does."""

    def install(body):
        def sync(services, organization_id, day, types, dagster_run_id, **more):
            assert (services, types, dagster_run_id) == ("services", TYPES, "run")
            body(organization_id, day, **more)
            return OrganizationSync.without_connections(organization_id)

        monkeypatch.setattr(sync_batch, "sync_organization", sync)

    return install


def run(partitions, **more):
    return sync_organizations("services", partitions, TYPES, "run", **more)


def test_the_threads_of_a_batch_keep_to_one_core(syncing, monkeypatch):
    keeping, syncing_threads = set(), set()
    monkeypatch.setattr(
        sync_batch, "keep_to_one_core", lambda: keeping.add(threading.current_thread())
    )
    syncing(lambda *_, **__: syncing_threads.add(threading.current_thread()))
    assert len(list(run([(DAY, "a"), (DAY, "b")]))) == 2
    assert syncing_threads <= keeping
    assert threading.current_thread() not in keeping


def test_organizations_are_synced_at_the_same_time(syncing):
    together = threading.Barrier(3)
    syncing(lambda *_, **__: together.wait(SECONDS))
    done = [(day, one) for day, one, _ in run([(DAY, one) for one in "abc"])]
    assert sorted(done) == [(DAY, "a"), (DAY, "b"), (DAY, "c")]


def test_outcomes_come_as_they_end_and_in_the_callers_thread(syncing):
    b_was_seen = threading.Event()
    syncing(lambda one, *_, **__: one == "a" and b_was_seen.wait(SECONDS))
    order = []
    for _, one, outcome in run([(DAY, "a"), (DAY, "b")]):
        assert outcome.organization_id == one
        order.append(one)
        b_was_seen.set()
    assert order == ["b", "a"]


def test_all_accounts_share_the_places_of_the_process(syncing):
    inside, most, lock = [0], [0], threading.Lock()
    pair = threading.Barrier(2)

    def body(*_, room, **__):
        with room:
            with lock:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            pair.wait(SECONDS)
            with lock:
                inside[0] -= 1

    syncing(body)
    assert len(list(run([(DAY, str(number)) for number in range(12)], at_once=2))) == 12
    assert most[0] == 2


def test_days_of_one_organization_follow_each_other(syncing):
    seen = []
    syncing(lambda one, day, **_: seen.append((one, day)))
    list(run([(DAY, "a"), (DAY, "b"), (NEXT_DAY, "a")]))
    assert [day for one, day in seen if one == "a"] == [DAY, NEXT_DAY]


def test_what_one_organization_runs_into_is_raised_when_the_others_are_through(syncing):
    def body(one, *_, **__):
        if one == "a":
            raise ConnectionError

    syncing(body)
    done = []
    with pytest.raises(ConnectionError):
        done += (one for _, one, _ in run([(DAY, one) for one in "abc"]))
    assert sorted(done) == ["b", "c"]


def test_a_closed_batch_tells_every_organization_to_stop_and_waits_for_it(syncing):
    stopped, all_began = [], threading.Barrier(3)

    def body(one, *_, interruption, **__):
        all_began.wait(SECONDS)
        if one == "a":
            return
        try:
            interruption.sleep(SECONDS)
        except RunFailedError:
            stopped.append(one)
            raise

    syncing(body)
    with closing(run([(DAY, one) for one in "abc"])) as batch:
        assert next(batch)[1] == "a"
    assert set(stopped) == {"b", "c"}


def test_a_single_organization_is_synced_in_the_callers_thread(syncing):
    threads = []
    syncing(lambda *_, **__: threads.append(threading.current_thread()))
    list(run([(DAY, "a")]))
    assert threads == [threading.current_thread()]
