"""Guards of Dagster's side and of dbt's, and how each is taken away."""

from uuid import uuid4

from tests.faults.guards import Guard
from thirdsentry_pipeline.automation import schedules
from thirdsentry_pipeline.automation.run_workers import Presence, RunWorker


def every_request_is_new(monkeypatch):
    real = schedules.run_request
    monkeypatch.setattr(
        schedules,
        "run_request",
        lambda day, one: real(day, one).with_replaced_attrs(run_key=str(uuid4())),
    )


def every_worker_is_alive(monkeypatch):
    monkeypatch.setattr(RunWorker, "presence", lambda _: Presence.RUNNING)


GUARDS = (
    Guard(
        name="run keys",
        fault=12,
        removes="a run is named by its organization and day",
        tests=("test_killed_in_a_tick_the_scheduler_goes_on_and_runs_each_organization_once",),
        patch=every_request_is_new,
        only="after the first run is created",
    ),
    Guard(
        name="workers are looked for",
        fault=14,
        removes="a run says which process works on it, and monitoring looks for it",
        tests=("test_a_dead_worker_of_a_started_run_ends_and_frees_its_organization",),
        patch=every_worker_is_alive,
        only="its own host",
    ),
)
