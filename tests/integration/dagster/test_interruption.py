"""A run that is told to stop ends at once, with its rows ended too."""

import signal

import pytest
from dagster import DagsterRunStatus

from tests.integration.operations.lab import ACCOUNT, ORGANIZATION
from tests.waiting import until
from thirdsentry_pipeline.automation.run_workers import RunWorker

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_is_terminal_and_recorded_as_failed(installation, zygote, told):
    lab = installation.lab
    lab.organization()
    lab.connected()
    # The credential report stays unfinished, so the sync waits while it is told to stop.
    lab.admin.set_credential_report(ACCOUNT, polls=1000)
    lab.admin.clear_calls()
    process = zygote.start("sync", ORGANIZATION)
    try:
        until(lambda: lab.admin.calls(action="iam:GenerateCredentialReport"))
        reading = "select count(*) from warehouse.connector_runs where status = 'running'"
        assert lab.value(reading) == 1
        process.kill(told)
        process.wait()
    finally:
        process.kill()
    with installation.instance() as instance:
        (run,) = instance.get_runs()
        # While it ran, run monitoring and the UI could find its process.
        assert RunWorker.from_tags(run.tags).pid == process.pid
        assert run.status in {DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED}
    assert lab.value("select status from warehouse.connector_runs") == "failed"
    assert lab.value("select count(*) from warehouse.audit_log where action = 'sync_failed'") == 1
    assert lab.value("select count(*) from warehouse.evidence_observations") == 0
