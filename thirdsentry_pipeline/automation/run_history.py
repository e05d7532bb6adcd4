"""Deleting old Dagster runs with their events and output, which Dagster never does itself.

The evidence, its audit log and the coverage history are in the warehouse and are not touched.
What the UI says stays true: a partition in sight keeps the run that materialized it, and an
asset keeps its last run however long ago that was.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

import dagster as dg

from thirdsentry_pipeline.domain.time import Clock, utc_now
from thirdsentry_pipeline.partitions import window_start
from thirdsentry_pipeline.settings import Settings

MAX_RUNTIME_TAG = "dagster/max_runtime"
LONGEST_SECONDS = 3600
BATCH = 100
MOST_RUNS = 50_000
FINISHED = [
    dg.DagsterRunStatus.SUCCESS,
    dg.DagsterRunStatus.FAILURE,
    dg.DagsterRunStatus.CANCELED,
]


def delete_old_runs(
    instance: dg.DagsterInstance, *, before: datetime, batch: int = BATCH, most: int = MOST_RUNS
) -> int:
    """Delete finished runs created before that moment, oldest first; returns how many.

    ``batch`` are looked up at a time and at most ``most`` are looked at; the rest is for the
    next call. A run goes with its output, its events and its row, in this order: interrupted, it
    is still there to be deleted again.
    """
    kept = last_runs_of_assets(instance)
    deleted = 0
    for run_id in old_runs(instance, before=before, batch=batch, most=most):
        if run_id not in kept:
            instance.compute_log_manager.delete_logs(prefix=[run_id])
            instance.event_log_storage.delete_events(run_id)
            instance.delete_run(run_id)
            deleted += 1
    return deleted


def old_runs(
    instance: dg.DagsterInstance, *, before: datetime, batch: int, most: int
) -> Iterator[str]:
    """Ids of finished runs created before that moment, oldest first.

    Each batch is looked up when the one before was dealt with. Runs under way are not among
    them, however old: run monitoring ends those.
    """
    filters = dg.RunsFilter(statuses=FINISHED, created_before=before)
    cursor: str | None = None
    seen = 0
    while seen < most:
        limit = min(batch, most - seen)
        # A deleted run can't be a cursor, so the row after the last is asked for beforehand.
        runs = instance.get_run_records(filters, limit=limit, ascending=True, cursor=cursor)
        if not runs:
            return
        for record in runs:
            yield record.dagster_run.run_id
        seen += len(runs)
        cursor = _last_kept(instance, [one.dagster_run.run_id for one in runs]) or cursor


def _last_kept(instance: dg.DagsterInstance, run_ids: list[str]) -> str | None:
    """The last of these that is still there."""
    return next((one for one in reversed(run_ids) if instance.has_run(one)), None)


def last_runs_of_assets(instance: dg.DagsterInstance) -> set[str]:
    """The runs from which the UI tells each asset's last materialization."""
    kept = set()
    for record in instance.get_asset_records():
        entry = record.asset_entry
        kept |= {entry.last_run_id} if entry.last_run_id else set()
        if entry.last_materialization is not None:
            kept.add(entry.last_materialization.run_id)
    return kept


def oldest_kept(settings: Settings, clock: Clock = utc_now) -> datetime:
    """From when on runs stay: the days that are set, and no partition in sight without its run."""
    now = clock()
    return min(
        now - timedelta(days=settings.run_history_days),
        window_start(now, settings.partition_window_days),
    )


@dg.op(description="Deletes runs beyond THIRDSENTRY_RUN_HISTORY_DAYS, with events and output.")
def delete_runs_beyond_the_history(context: dg.OpExecutionContext) -> None:
    """Delete what is older than the history, up to a bound per day."""
    before = oldest_kept(Settings.from_environment())
    deleted = delete_old_runs(context.instance, before=before)
    context.add_output_metadata({"runs_deleted": deleted, "before": before.isoformat()})


@dg.job(
    name="run_history_prune",
    description="Deletes Dagster's own old runs, their events and their output.",
    executor_def=dg.in_process_executor,
    tags={MAX_RUNTIME_TAG: str(LONGEST_SECONDS)},
)
def run_history_prune_job() -> None:
    """One op over the instance."""
    delete_runs_beyond_the_history()


run_history_prune_daily = dg.ScheduleDefinition(
    name="run_history_prune_daily",
    job=run_history_prune_job,
    cron_schedule="30 4 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Keeps Dagster's database from growing for ever.",
)
