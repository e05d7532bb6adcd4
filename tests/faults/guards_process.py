"""Guards against dying processes and databases, and how each is taken away."""

from contextlib import contextmanager

from sqlalchemy import text

from tests.faults.guards import Guard
from thirdsentry_pipeline.operations.alerts import message_of
from thirdsentry_pipeline.warehouse import alerts
from thirdsentry_pipeline.warehouse.scope import organization_scope

SYNC = "thirdsentry_pipeline.operations.sync_connection"
EVERY_KILL = "test_killed_at_any_moment_a_sync_leaves_all_or_nothing"


def nobody_sweeps(monkeypatch):
    monkeypatch.setattr("thirdsentry_pipeline.warehouse.runs._abandon", lambda *_: [])


def every_statement_commits(monkeypatch):
    @contextmanager
    def scope(engine, organization_id):
        with engine.connect() as connection:
            alone = connection.execution_options(isolation_level="AUTOCOMMIT")
            alone.execute(
                text("select set_config('app.organization_id', :mine, false)"),
                {"mine": organization_id},
            )
            yield alone

    monkeypatch.setattr(f"{SYNC}.organization_scope", scope)


def failures_are_not_recorded(monkeypatch):
    monkeypatch.setattr(f"{SYNC}.ConnectionReader._fail", lambda *_: None)


def a_lost_connection_is_final(monkeypatch):
    monkeypatch.setattr(f"{SYNC}.is_lost_connection", lambda _: False)


def nobody_asks_the_run(monkeypatch):
    monkeypatch.setattr(f"{SYNC}.evidence.recorded_before", lambda *_, **__: None)


def a_deadlock_is_final(monkeypatch):
    monkeypatch.setattr(f"{SYNC}.is_deadlock", lambda _: False)


def the_organization_stays_in_the_session(monkeypatch):
    scope = "thirdsentry_pipeline.warehouse.scope._ENTER"
    entering = text(
        "select set_config('app.organization_id', :organization_id, false), false as is_powerful"
    )
    monkeypatch.setattr(scope, entering)
    monkeypatch.setattr("thirdsentry_pipeline.warehouse.database._forget_session", forget_nothing)


def forget_nothing(connection, _record, _state):
    connection.rollback()


def marked_before_sent(monkeypatch):
    def deliver(pipeline, organization_id, outlets, done):
        with organization_scope(pipeline, organization_id) as database:
            due = alerts.claim_deliveries(database)
            alerts.mark_delivered(database, due)
        if due:
            with organization_scope(pipeline, organization_id) as database:
                for sink in outlets.all:
                    outlets.send(sink, message_of(database, organization_id, due))

    monkeypatch.setattr("thirdsentry_pipeline.operations.alerts._deliver", deliver)


def runs_add_no_partition(monkeypatch):
    monkeypatch.setattr("dagster.DagsterInstance.add_dynamic_partitions", lambda *_: None)


IN_THIS_DATABASE = "do $$ begin execute format('{}', current_database()); end $$"

GUARDS = (
    Guard(
        name="sweeping",
        fault=1,
        removes="the next run abandons runs whose process is gone",
        tests=("test_killed_before_the_commit_a_sync_leaves_nothing",),
        patch=nobody_sweeps,
        only="in the open role",
        quick=True,
    ),
    Guard(
        name="one transaction",
        fault=1,
        removes="evidence, observations, state, run and audit row commit together",
        tests=("test_killed_before_the_commit_a_sync_leaves_nothing",),
        patch=every_statement_commits,
        only="after the state",
    ),
    Guard(
        name="the outbox",
        fault=1,
        removes="an alert is marked in the transaction that sent it, after sending",
        tests=("test_killed_while_it_alerts_it_tells_once_by_one_key",),
        patch=marked_before_sent,
        only="before the alert is sent",
        quick=True,
    ),
    Guard(
        name="sweeping at any moment",
        fault=2,
        removes="the next run abandons runs whose process is gone",
        tests=(EVERY_KILL,),
        patch=nobody_sweeps,
        only="range(0, 25)",
    ),
    Guard(
        name="failures are recorded",
        fault=3,
        removes="a run that is told to stop ends its row and writes its audit row",
        tests=("test_a_run_that_is_told_to_stop_is_terminal_everywhere",),
        patch=failures_are_not_recorded,
        only="terminated",
    ),
    Guard(
        name="commits are durable",
        fault=4,
        removes="COMMIT waits until the log is on the disk",
        tests=("test_when_postgres_stops_at_once_acknowledged_runs_are_whole",),
        sql=(IN_THIS_DATABASE.format("alter database %I set synchronous_commit = off"),),
        only="after the readings commit",
    ),
    Guard(
        name="lost connections are tried again",
        fault=5,
        removes="readings are written again when the connection broke",
        tests=(
            "test_a_connection_lost_during_commit_doubles_and_loses_nothing",
            "test_a_backend_terminated_while_it_writes_costs_nothing",
        ),
        patch=a_lost_connection_is_final,
    ),
    Guard(
        name="the run is asked",
        fault=5,
        removes="after a lost COMMIT the run says whether it was recorded",
        tests=("test_a_connection_lost_during_commit_doubles_and_loses_nothing",),
        patch=nobody_asks_the_run,
        only="after",
        quick=True,
    ),
    Guard(
        name="a full disk rolls back",
        fault=7,
        removes="evidence, observations, state, run and audit row commit together",
        tests=("test_a_full_disk_rolls_back_and_is_a_failed_sync",),
        patch=every_statement_commits,
    ),
    Guard(
        name="connections forget",
        fault=8,
        removes="a pooled connection forgets the organization it was used for",
        tests=("test_without_a_free_connection_a_sync_ends_with_an_error_and_leaves_nothing",),
        patch=the_organization_stays_in_the_session,
    ),
    Guard(
        name="deadlocks are tried again",
        fault=9,
        removes="a transaction that lost a deadlock is written again",
        tests=("test_a_deadlock_is_written_again",),
        patch=a_deadlock_is_final,
    ),
    Guard(
        name="one row per fact",
        fault=10,
        removes="a fact is found again by its fingerprint",
        tests=("test_eight_runs_of_one_day_at_once_keep_one_row_per_fact",),
        sql=(
            "alter table warehouse.evidence drop constraint evidence_organization_id_fingerprint_key",
        ),
    ),
    Guard(
        name="runs bring their partition",
        fault=15,
        removes="a run adds its organization's partition, so an empty Dagster can collect",
        tests=("test_without_dagsters_database_nothing_is_lost",),
        patch=runs_add_no_partition,
    ),
)
