"""Processes killed while they store, send and mark an alert."""

import json

import pytest

from tests.faults.steps import OUTBOX, parameters
from tests.faults.town import sync
from tests.integration.alerts.conftest import receiving
from tests.integration.operations.lab import ACCOUNT
from thirdsentry_pipeline.operations.interruption import Interruption

pytestmark = pytest.mark.integration

KILLED = -9
CLOSED = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"},
        ],
    }
)
UNTOLD = "select count(*) from warehouse.alerts where notified_at is null"
ALERTS = "select count(*) from warehouse.alerts"


@pytest.fixture
def closed_role(town, monkeypatch):
    """The customer closed the role, and a sync has found that; open again afterwards."""
    # The product asks a closed role again after a while: not here.
    monkeypatch.setattr(Interruption, "sleep", lambda self, _seconds: self.check())
    iam = town.lab.admin.client("iam", ACCOUNT)
    trust = iam.get_role(RoleName=town.role)["Role"]["AssumeRolePolicyDocument"]

    def open_again():
        iam.update_assume_role_policy(RoleName=town.role, PolicyDocument=json.dumps(trust))

    iam.update_assume_role_policy(RoleName=town.role, PolicyDocument=CLOSED)
    assert sync(town.lab).status == "failed"
    yield open_again
    open_again()


@pytest.fixture
def receiver(town, monkeypatch):
    with receiving() as running:
        monkeypatch.setitem(town.environment, "THIRDSENTRY_ALERT_WEBHOOK_URL", running.url)
        yield running


@pytest.mark.fault(1)
@pytest.mark.parametrize("step", parameters(OUTBOX))
def test_killed_while_it_alerts_it_tells_once_by_one_key(town, receiver, closed_role, step):
    before = town.lab.value(ALERTS)
    victim = town.victim("alerts", step=step)
    assert victim.wait() == KILLED, victim.said()
    assert town.victim("alerts").wait() == 0
    assert town.lab.value(ALERTS) == before + 1
    assert town.lab.value(UNTOLD) == 0
    # At least once, and again only when it died between sending and marking.
    again = step in {"after the alert is sent", "after the alert is marked"}
    assert len(receiver.got) == 1 + again
    assert len({headers["Idempotency-Key"] for headers in receiver.headers}) == 1
    assert town.victim("alerts").wait() == 0
    assert len(receiver.got) == 1 + again
    closed_role()
    town.heal()
    assert town.victim("alerts").wait() == 0
    assert len(receiver.got) == 2 + again
