"""A run that is told to stop ends at once, with its rows ended too."""

import os
import signal
import subprocess
import sys
import time

import pytest
from dagster import DagsterRunStatus

from tests.integration.operations.lab import ACCOUNT, ORGANIZATION
from thirdsentry_pipeline.automation.run_workers import RunWorker

pytestmark = pytest.mark.integration

COLLECT = """
from thirdsentry_pipeline.automation.launch import run_evidence_job
from thirdsentry_pipeline.domain.evidence import EvidenceType
from thirdsentry_pipeline.domain.identifiers import today
from thirdsentry_pipeline.domain.time import utc_now
from thirdsentry_pipeline.settings import Settings
run_evidence_job(Settings.from_environment(), "{organization}", today(utc_now), tuple(EvidenceType))
"""


def until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_is_terminal_and_recorded_as_failed(installation, told):
    lab = installation.lab
    lab.organization()
    lab.connected()
    # The credential report stays unfinished, so the sync waits while it is told to stop.
    lab.admin.set_credential_report(ACCOUNT, polls=1000)
    process = subprocess.Popen(
        [sys.executable, "-c", COLLECT.format(organization=ORGANIZATION)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        reading = "select count(*) from warehouse.connector_runs where status = 'running'"
        until(lambda: lab.value(reading) == 1)
        time.sleep(1)
        told_at = time.monotonic()
        process.send_signal(told)
        process.wait(timeout=30)
        assert time.monotonic() - told_at < 15
    finally:
        process.kill()
        process.wait()
    with installation.instance() as instance:
        (run,) = instance.get_runs()
        # While it ran, run monitoring and the UI could find its process.
        assert RunWorker.from_tags(run.tags).pid == process.pid
        assert run.status in {DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED}
    assert lab.value("select status from warehouse.connector_runs") == "failed"
    assert lab.value("select count(*) from warehouse.audit_log where action = 'sync_failed'") == 1
    assert lab.value("select count(*) from warehouse.evidence_observations") == 0
