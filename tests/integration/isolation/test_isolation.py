"""Fifty accounts of ten organizations read at the same time never get each other's rows."""

import functools
import os
import threading
from collections import Counter

import pytest

from tests.integration.isolation.town import FAULTS, NO_FAULTS, TYPES, strays
from thirdsentry_pipeline.aws import reading
from thirdsentry_pipeline.aws.account_session import AccountSession
from thirdsentry_pipeline.aws.sessions import _bound
from thirdsentry_pipeline.aws.transport import Transport
from thirdsentry_pipeline.operations import sync_batch

pytestmark = pytest.mark.integration

# `make faults` plays more of them; each has faults of its own.
ROUNDS = int(os.environ.get("THIRDSENTRY_TEST_ROUNDS", "4"))
AT_ONCE = 50


@pytest.fixture
def threads(monkeypatch):
    """Gives the next rounds new threads: on every core, or on one as a run that has its own."""

    def start(*, roaming):
        monkeypatch.setattr(reading, "_threads", functools.cache(reading._threads.__wrapped__))
        keep = (lambda: None) if roaming else keep_to_one_core
        monkeypatch.setattr(sync_batch, "keep_to_one_core", keep)

    keep_to_one_core = sync_batch.keep_to_one_core
    return start


def test_every_row_belongs_to_its_account_whatever_fails(town_of, stub, threads):
    town = town_of(10, 5)
    read = Counter()
    for number in range(ROUNDS):
        stub.configure(seed=number, **(FAULTS if number else NO_FAULTS))
        threads(roaming=number % 2 == 1)
        name = f"round {number}"
        outcomes = town.sync(name, AT_ONCE)
        assert strays(town, name) == []
        tried = [one for outcome in outcomes for one in outcome.connections]
        assert {one.connection_id for one in tried} == set(town.homes)
        results = [result for one in tried for result in one.evidence.values()]
        if number == 0:
            assert [result.read_status for result in results] == ["ok"] * 50 * len(TYPES)
        read.update(str(result.read_status) for result in results)
    # Without these, nothing was at stake.
    assert min(read["denied"], read["error"], read["partial"]) > 0
    assert town.rows("select 1 from warehouse.connector_runs where status = 'running'") == []


def test_the_check_notices_clients_that_are_shared_with_swapped_credentials(
    town_of, stub, monkeypatch
):
    """The fast way that is not allowed: one client per service, handed from account to account."""
    town = town_of(4, 4)
    shared = {}
    of_its_own = AccountSession.client

    def client(self, service, region):
        lent = shared.setdefault((service, region), of_its_own(self, service, region))
        lent._identity.signer._credentials = _bound(self._credentials)
        threading.Event().wait(0.002)  # lets another thread in, as any moment may
        return lent

    monkeypatch.setattr(AccountSession, "client", client)
    # A shared client outlives the session that it was made for.
    monkeypatch.setattr(Transport, "close", lambda _: None)
    stub.configure(jitter_ms=15)
    town.sync("shared", AT_ONCE)
    assert [row for row in strays(town, "shared") if hasattr(row, "payload")]
