"""What an outside watchdog gets to hear, when nothing inside could say it."""

import json
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from dagster._daemon.types import DaemonHeartbeat

from tests.integration.operations.lab import ORGANIZATION
from thirdsentry_pipeline.cli.checks import examine_quickly
from thirdsentry_pipeline.domain.time import utc_now
from thirdsentry_pipeline.operations.watching import DAEMONS

pytestmark = pytest.mark.integration

THIRDSENTRY = Path(sys.executable).with_name("thirdsentry")
TOLD = """
    update warehouse.alerts
    set resolved_at = clock_timestamp(), notified_at = clock_timestamp(),
      resolution_notified_at = clock_timestamp()
"""
ALERT = """
    insert into warehouse.alerts (organization_id, kind, episode_key, connection_id, opened_at,
      delivery_attempts)
    select organization_id, 'sync_failed', connection_id || ':sync_failed:never', connection_id,
      clock_timestamp() - interval '20 minutes', 3
    from warehouse.connections where organization_id = %s
"""


def beat(town, seconds_ago=0.0, daemons=DAEMONS):
    with town.instance() as instance:
        for kind in daemons:
            moment = utc_now().timestamp() - seconds_ago
            instance.add_daemon_heartbeat(DaemonHeartbeat(moment, kind, "one", []))


def ailing(town):
    """The checks that are not well, with what they say."""
    found = examine_quickly(town.settings())
    return {one.check: one.detail for one in found if not one.ok}


@pytest.mark.fault(13)
def test_a_dead_daemon_is_noticed_by_its_silence(town):
    assert "scheduler and sensor" in ailing(town)["dagster daemon"]
    beat(town)
    town.heal()
    assert ailing(town) == {}
    beat(town, seconds_ago=180, daemons=("SCHEDULER",))
    assert set(ailing(town)) == {"dagster daemon"}
    # A daemon that beats and whose sink takes nothing is as mute.
    beat(town)
    with psycopg.connect(town.lab.database.admin_url) as admin:
        admin.execute(ALERT, (ORGANIZATION,))
    assert ORGANIZATION in ailing(town)["alert sinks"]
    asked = subprocess.run(
        [THIRDSENTRY, "doctor", "--quick", "--json"], capture_output=True, check=False
    )
    assert asked.returncode == 1
    document = json.loads(asked.stdout)
    assert not document["ok"]
    assert [one["check"] for one in document["checks"] if not one["ok"]] == ["alert sinks"]
    with psycopg.connect(town.lab.database.admin_url) as admin:
        admin.execute(TOLD)
    assert ailing(town) == {}
