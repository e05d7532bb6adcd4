"""What one Dagster run recorded in the warehouse, in the contract's words."""

from typing import Any

from sqlalchemy import text

from thirdsentry_pipeline.cli.session import login_engine
from thirdsentry_pipeline.operations.sync_results import SyncStatus
from thirdsentry_pipeline.settings import Settings
from thirdsentry_pipeline.warehouse.scope import organization_scope

RUNS = text("""
    select run.connection_id, connection.account_id, run.run_id, run.status, run.error_code
    from warehouse.connector_runs run
    join warehouse.connections connection
      on connection.organization_id = run.organization_id
     and connection.connection_id = run.connection_id
    where run.dagster_run_id = :dagster_run_id
    order by connection.connected_at, connection.connection_id
""")
READS = text("""
    select observation.run_id, observation.evidence_type, observation.read_status,
           evidence.verdict, evidence.fingerprint,
           coalesce(evidence.first_run_id = observation.run_id, false) as is_new,
           observation.error_code, observation.regions_unread
    from warehouse.connector_runs run
    join warehouse.evidence_observations observation
      on observation.organization_id = run.organization_id and observation.run_id = run.run_id
    left join warehouse.evidence evidence
      on evidence.organization_id = observation.organization_id
     and evidence.evidence_id = observation.evidence_id
    where run.dagster_run_id = :dagster_run_id
    order by observation.evidence_type
""")
EXIT_CODES = {SyncStatus.SUCCEEDED: 0, SyncStatus.PARTIAL: 3, SyncStatus.FAILED: 1}


def read_outcome(settings: Settings, organization_id: str, dagster_run_id: str) -> dict[str, Any]:
    """The JSON document of a sync, read inside the organization's scope."""
    with (
        login_engine(settings, "pipeline") as engine,
        organization_scope(engine, organization_id) as connection,
    ):
        parameters = {"dagster_run_id": dagster_run_id}
        runs = [dict(row) for row in connection.execute(RUNS, parameters).mappings()]
        reads = [dict(row) for row in connection.execute(READS, parameters).mappings()]
    for run in runs:
        mine = [read for read in reads if read["run_id"] == run["run_id"]]
        run["evidence"] = {
            read["evidence_type"]: {
                "read_status": read["read_status"],
                "verdict": read["verdict"],
                "fingerprint": read["fingerprint"],
                "is_new": read["is_new"],
                "error_code": read["error_code"],
                "regions_unread": list(read["regions_unread"] or ()),
            }
            for read in mine
        }
    return {
        "dagster_run_id": dagster_run_id,
        "status": status_of(runs).value,
        "connections": runs,
    }


def status_of(runs: list[dict[str, Any]]) -> SyncStatus:
    """``partial`` when something was read and something was not, a whole connection included."""
    return SyncStatus.of(
        read
        for run in runs
        for read in [one["read_status"] == "ok" for one in run["evidence"].values()] or [False]
    )


def exit_code_of(outcome: dict[str, Any]) -> int:
    """The contract's exit code for ``sync``."""
    return EXIT_CODES[SyncStatus(outcome["status"])]
