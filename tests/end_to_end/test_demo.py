"""The demo in subprocesses: killed, run, run again with the UI; read from Postgres and Dagster."""

import json
import signal
import tempfile
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import pytest

from tests.end_to_end.installation import STOP_SECONDS, Installation
from thirdsentry_pipeline.domain.evidence import EvidenceType
from thirdsentry_pipeline.local.demo_accounts import DEMO_ORGANIZATIONS
from thirdsentry_pipeline.local.postgres import free_port

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(1500)]

HEALTHY, GAPS, DENIED = (one.organization_id for one in DEMO_ORGANIZATIONS)
TRAIL = EvidenceType.CLOUDTRAIL_LOGGING
EVIDENCE = """
    select organization_id, account_id, evidence_type, fingerprint, first_observed_at
    from warehouse.evidence order by 1, 2, 3, 4
"""
OBSERVATIONS = "select count(*) as n from warehouse.evidence_observations"
CONNECTIONS = "select connection_id, status from warehouse.connections order by 1"
UNFINISHED = "select count(*) as n from warehouse.connector_runs where status = 'running'"
RUNS = '{runsOrError(filter: {pipelineName: "aws_evidence"}) {... on Runs {results {status}}}}'
SCHEDULES = (
    '{schedulesOrError(repositorySelector: {repositoryName: "__repository__",'
    ' repositoryLocationName: "thirdsentry"}) {... on Schedules {results {name'
    " scheduleState {status}}}}}"
)


@pytest.fixture(scope="module")
def base():
    """A directory to work in, outside of pytest's own, which other sessions lock.

    As root, the embedded Postgres runs as another user, who has to pass through.
    """
    with tempfile.TemporaryDirectory(prefix="thirdsentry-demo-") as directory:
        Path(directory).chmod(0o711)
        yield Path(directory)


@pytest.fixture(scope="module")
def demo(base):
    """A demo killed while it connects, one to its end, and a second one with the UI."""
    installation = Installation(base / "home")
    seen = SimpleNamespace(installation=installation)

    with installation.started("demo", "--no-ui") as (process, errors):
        installation.wait_for(process, errors, "onboarding and connecting account 222222222222")
        process.send_signal(signal.SIGKILL)
        process.wait()
    installation.wait_until_nothing_runs()

    seen.first = installation.run("demo", "--no-ui")
    seen.left_after_first = installation.processes()
    assert installation.run("db", "start").code == 0
    try:
        seen.evidence = installation.rows(EVIDENCE, "admin")
        seen.observations = installation.rows(OBSERVATIONS, "admin")[0]["n"]
        seen.connections = installation.rows(CONNECTIONS, "admin")
        port = free_port()
        with installation.started("demo", "--port", str(port)) as (process, errors):
            installation.wait_for(process, errors, f"http://127.0.0.1:{port}")
            seen.runs, seen.schedules = graphql(port, RUNS), graphql(port, SCHEDULES)
            seen.evidence_again = installation.rows(EVIDENCE, "admin")
            seen.observations_again = installation.rows(OBSERVATIONS, "admin")[0]["n"]
            seen.connections_again = installation.rows(CONNECTIONS, "admin")
            sandbox = installation.sandbox_environment()
            seen.sync = installation.run(
                "sync", "--organization", DENIED, "--json", environment=sandbox
            )
            process.send_signal(signal.SIGINT)
            seen.code_of_interrupted = process.wait(STOP_SECONDS)
        yield seen
    finally:
        installation.run("db", "stop")
    installation.wait_until_nothing_runs()


def graphql(port, query):
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql",
        json.dumps({"query": query}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310 - as above
        (answer,) = json.load(response)["data"].values()
    return answer["results"]


def test_demo_after_a_killed_one_ends_with_a_table_per_organization(demo):
    assert demo.first.code == 0, demo.first.err[-2000:]
    for organization in DEMO_ORGANIZATIONS:
        assert organization.name in demo.first.out
    assert "2 of 3 console users lack MFA" in demo.first.out
    assert f"{TRAIL} was never read (denied)" in demo.first.out
    assert "Building the coverage models" in demo.first.err
    assert "Traceback" not in demo.first.err
    assert demo.left_after_first == []


def test_second_demo_adds_observations_and_no_evidence(demo):
    assert len(demo.evidence) == 4 * 7 - 1
    assert demo.evidence_again == demo.evidence
    assert demo.observations == 4 * 7
    assert demo.observations_again == 2 * demo.observations
    assert len(demo.connections) == 4
    assert demo.connections_again == demo.connections


def test_coverage_shows_three_different_states_through_the_pipeline_login(demo):
    query = "select * from coverage.control_coverage"
    states = {
        organization_id: {
            row["control_status"]
            for row in demo.installation.rows(query, organization_id=organization_id)
        }
        for organization_id in (HEALTHY, GAPS, DENIED)
    }
    assert states[HEALTHY] == {"passing"}
    assert states[GAPS] == {"failing"}
    assert states[DENIED] == {"passing", "pending"}
    assert demo.installation.rows(query) == []


def test_denied_service_leaves_six_types_fresh_and_sync_ends_with_3(demo):
    assert demo.sync.code == 3, demo.sync.err[-2000:]
    (connection,) = demo.sync.document["connections"]
    reads = connection["evidence"]
    assert {kind for kind, read in reads.items() if read["read_status"] != "ok"} == {TRAIL}
    assert reads[TRAIL]["error_code"] == "denied"
    assert not any(read["is_new"] for read in reads.values())
    query = "select evidence_type, is_fresh from coverage.evidence_freshness"
    fresh = demo.installation.rows(query, organization_id=DENIED)
    assert sum(row["is_fresh"] for row in fresh) == 6


def test_dagster_shows_runs_materializations_and_checks(demo):
    assert [run["status"] for run in demo.runs] == ["SUCCESS"] * len(demo.runs)
    assert len(demo.runs) >= 6
    with dg.DagsterInstance.from_config(str(demo.installation.home / "dagster")) as instance:
        assert set(instance.get_dynamic_partitions("organizations")) == {HEALTHY, GAPS, DENIED}
        for kind in EvidenceType:
            key = dg.AssetKey(["aws", kind.asset_name])
            partitions = instance.get_materialized_partitions(key)
            organizations = {partition.rpartition("|")[2] for partition in partitions}
            expected = {HEALTHY, GAPS} if kind is TRAIL else {HEALTHY, GAPS, DENIED}
            assert organizations == expected, kind
        for mart in ("evidence_freshness", "control_coverage", "coverage_daily"):
            built = instance.get_latest_materialization_event(dg.AssetKey(["coverage", mart]))
            assert built is not None
        check = dg.AssetCheckKey(dg.AssetKey(["aws", TRAIL.asset_name]), "reads_are_authorized")
        record = instance.get_latest_asset_check_evaluation_record(check)
        assert record is not None


def test_schedules_are_on(demo):
    states = {one["name"]: one["scheduleState"]["status"] for one in demo.schedules}
    assert states["aws_evidence_daily"] == "RUNNING"
    assert states["coverage_history_daily"] == "RUNNING"


def test_interrupted_ui_leaves_nothing_running_and_nothing_half_written(demo):
    assert demo.code_of_interrupted == 0
    names = {Path(part).name for _, command in demo.installation.processes() for part in command}
    assert not {"process_guard.py", "dagster_webserver", "dagster"} & names
    assert demo.installation.rows(UNFINISHED, "admin")[0]["n"] == 0
