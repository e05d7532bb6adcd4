"""Places alerts are sent to that fail in every way, and a log that was edited."""

from threading import Event

import pytest
import urllib3
from sqlalchemy import text

from tests.faults.world import world
from tests.integration.alerts.conftest import receiving
from tests.integration.audit.chains import tamper
from thirdsentry_pipeline.operations import alert_sinks
from thirdsentry_pipeline.operations.audit import broken_sentence, verify_organization

pytestmark = pytest.mark.integration

__all__ = ["world"]

UNTOLD = "select count(*) from warehouse.alerts where notified_at is null"
KEYS = "select count(*), count(distinct episode_key) from warehouse.alerts"
ERRORS = "select distinct last_delivery_error from warehouse.alerts"


def rows(world, query):
    with world.database.engine("admin").connect() as admin:
        return [tuple(row) for row in admin.execute(text(query))]


@pytest.mark.fault(30)
def test_a_sink_that_fails_in_every_way_hears_each_episode_once_it_answers(world, monkeypatch):
    monkeypatch.setattr(alert_sinks, "_TIMEOUT", urllib3.Timeout(connect=1, read=0.2))
    world.sync(world.organization, by_schedule=False)
    world.clock.tick(49 * 3600)
    with receiving() as receiver:
        world.sink = receiver.sink
        address, receiver.sink._url = receiver.sink._url, "http://127.0.0.1:9/down"
        look_later(world)
        assert rows(world, ERRORS) == [("The webhook could not be reached.",)]
        receiver.sink._url = address
        for status in (500, 429, 302):
            receiver.status = status
            look_later(world)
            assert rows(world, ERRORS) == [(f"The webhook answered HTTP {status}.",)]
        # It takes the message and answers too late, as it looks from here.
        receiver.status = 200
        receiver.hold = Event()
        look_later(world)
        assert rows(world, ERRORS) == [("The webhook did not answer in time.",)]
        assert rows(world, UNTOLD) == [(7,)]
        receiver.hold.set()
        receiver.hold = None
        look_later(world)
        look_later(world)
        assert rows(world, UNTOLD) == [(0,)]
        assert rows(world, KEYS) == [(7, 7)]
        sent = [one["Idempotency-Key"] for one in receiver.headers]
        assert len(sent) == 5
        assert len(set(sent)) == 1, "one key, however often it is tried"
        world.sync(world.organization, by_schedule=False)
        look_later(world)
        look_later(world)
        assert len(receiver.headers) == 6
        assert "resolved" in receiver.texts[-1]


def look_later(world):
    """The sensor, past any wait for the next attempt."""
    world.clock.tick(4000)
    world.look()


@pytest.mark.fault(30)
def test_an_edited_log_is_named_by_its_row(world):
    world.sync(world.organization, by_schedule=False)
    world.sync(world.organization, by_schedule=False)
    pipeline, organization = world.services.pipeline, world.organization

    def verify():
        return verify_organization(pipeline, organization, None, clock=world.clock).chain

    assert verify().is_intact
    admin = world.database.engine("admin")
    edit = "update warehouse.audit_log set detail = detail {} '{{\"edited\": 1}}' where seq = 2"
    tamper(admin, edit.format("||"))
    chain = verify()
    assert chain.broken_seq == 2
    assert "sequence number 2" in broken_sentence(organization, chain)
    tamper(admin, "update warehouse.audit_log set detail = detail - 'edited' where seq = 2")
    assert verify().is_intact
