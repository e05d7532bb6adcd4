"""Once per episode: two evaluators at the same moment, and processes that die half-way."""

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from tests.integration.alerts.conftest import Recorder
from tests.integration.dbt.coverage_rows import hours_ago
from thirdsentry_pipeline.domain.evidence import EvidenceType
from thirdsentry_pipeline.operations.alerts import evaluate_alerts
from thirdsentry_pipeline.warehouse.database import engine_for

pytestmark = pytest.mark.integration
TYPES = len(EvidenceType)

EVALUATOR = """
import os, signal, sys
from thirdsentry_pipeline.operations import alerts
from thirdsentry_pipeline.operations.alert_sinks import Webhook
from thirdsentry_pipeline.warehouse.database import engine_for
pipeline, scheduler, url, dies = (input() for _ in range(4))

class Dying(Webhook):
    def send(self, message):
        if dies == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        super().send(message)
        if dies == "after":
            os.kill(os.getpid(), signal.SIGKILL)

print("ready", flush=True)
input()
done = alerts.evaluate_alerts(engine_for(pipeline), engine_for(scheduler), [Dying(url)])
assert not done.errors, done
"""


def start(lab, url, dies=""):
    process = subprocess.Popen(
        [sys.executable, "-c", EVALUATOR],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    database = lab.database
    print(
        database.pipeline_url,
        database.scheduler_url,
        url,
        dies,
        sep="\n",
        file=process.stdin,
        flush=True,
    )
    assert process.stdout.readline() == "ready\n"
    return process


def go(*processes):
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    codes = []
    for process in processes:
        process.communicate(timeout=60)
        codes.append(process.returncode)
    return codes


def told_twice(recorders):
    """Alert and state of every notification beyond the first."""
    told = [
        (entry.alert_id, entry.state)
        for recorder in recorders
        for message in recorder.messages
        for entry in message.entries
    ]
    return len(told) - len(set(told))


def test_two_evaluators_ticking_at_once_tell_each_episode_once(lab):
    seeded = [lab.stale() for _ in range(4)]
    for tenant, connection_id in seeded:
        lab.run(tenant, connection_id, "failed", 20)
        lab.run(tenant, connection_id, "failed", 10)
        lab.status(connection_id, "needs_reauth")
    engines = [
        (engine_for(lab.database.pipeline_url), engine_for(lab.database.scheduler_url))
        for _ in range(3)
    ]
    recorders = [Recorder() for _ in engines]
    barrier = Barrier(len(engines))

    def tick(number):
        barrier.wait(30)
        return evaluate_alerts(*engines[number], [recorders[number]])

    def all_tick():
        with ThreadPoolExecutor(len(engines)) as pool:
            return list(pool.map(tick, range(len(engines))))

    opened = all_tick()
    for tenant, connection_id in seeded:
        tenant.observe_all(connection_id, hours_ago(0))
    resolved = [one for _ in range(2) for one in all_tick()]
    for pair in engines:
        for engine in pair:
            engine.dispose()
    assert [one.errors for one in opened + resolved] == [[]] * 9
    assert sum(one.opened for one in opened) == 4 * (TYPES + 2)
    assert sum(one.resolved for one in resolved) == 4 * (TYPES + 1)
    assert told_twice(recorders) == 0
    counts = sum(len(message.entries) for one in recorders for message in one.messages)
    assert counts == 4 * (TYPES + 2) + 4 * (TYPES + 1)
    assert lab.audit() == {"alert_opened": 4 * (TYPES + 2), "alert_resolved": 4 * (TYPES + 1)}


def test_two_processes_at_once_send_one_message(lab, receiver):
    lab.stale()
    assert go(start(lab, receiver.url), start(lab, receiver.url)) == [0, 0]
    assert len(receiver.got) == 1


def test_death_between_storing_and_sending_loses_nothing(lab, receiver):
    lab.stale()
    assert go(start(lab, receiver.url, "before")) == [-signal.SIGKILL]
    assert (len(lab.alerts()), receiver.got) == (TYPES, [])
    done = lab.evaluate(receiver.sink)
    assert (done.opened, done.delivered, len(receiver.got)) == (0, TYPES, 1)


def test_death_between_sending_and_noting_it_sends_the_same_again(lab, receiver):
    lab.stale()
    assert go(start(lab, receiver.url, "after")) == [-signal.SIGKILL]
    assert lab.evaluate(receiver.sink).delivered == TYPES
    assert lab.evaluate(receiver.sink).delivered == 0
    assert len(receiver.got) == 2
    assert receiver.got[0] == receiver.got[1]
    assert len({one["Idempotency-Key"] for one in receiver.headers}) == 1
