"""Guards of Dagster's side and of dbt's, and how each is taken away."""

from uuid import uuid4

from tests.faults import dbt_projects
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


def views_are_dropped(monkeypatch):
    dropped = "drop view if exists {{ target }} cascade; create view"
    monkeypatch.setitem(dbt_projects.WITHOUT, "live_view.sql", ("create or replace view", dropped))


def seeds_are_dropped(monkeypatch):
    monkeypatch.setitem(
        dbt_projects.WITHOUT,
        "reset_csv_table.sql",
        ("full_refresh and not has_columns_of(model, old_relation, agate_table)", "full_refresh"),
    )


ANYBODY = """
    create or replace function warehouse.require_organization() returns text
    language sql stable as $$ select current_setting('app.organization_id', true) $$
"""
KILLED_DBT = "test_dbt_killed_between_models_shows_readers_old_or_new"

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
        name="run keys of a tick that its code server left",
        fault=12,
        removes="a run is named by its organization and day",
        tests=("test_a_code_server_that_dies_alone_costs_no_organization_its_run",),
        patch=every_request_is_new,
        only="between two runs",
    ),
    Guard(
        name="workers are looked for",
        fault=14,
        removes="a run says which process works on it, and monitoring looks for it",
        tests=("test_a_dead_worker_of_a_started_run_ends_and_frees_its_organization",),
        patch=every_worker_is_alive,
        only="its own host",
    ),
    Guard(
        name="views are replaced in place",
        fault=16,
        removes="a full refresh drops no view whose columns stay",
        tests=(KILLED_DBT,),
        patch=views_are_dropped,
        only="halfway in a full refresh",
    ),
    Guard(
        name="seeds are filled in place",
        fault=16,
        removes="a full refresh drops no seed whose columns stay, nor the views on it",
        tests=(KILLED_DBT,),
        patch=seeds_are_dropped,
        only="halfway in a full refresh",
    ),
    Guard(
        name="an organization is required",
        fault=16,
        removes="who writes has said for which organization",
        tests=("test_without_an_organization_readers_see_nothing_and_writers_fail",),
        sql=(ANYBODY,),
    ),
    Guard(
        name="row security",
        fault=16,
        removes="rows are an organization's, and who says none sees none",
        tests=("test_without_an_organization_readers_see_nothing_and_writers_fail",),
        sql=(
            "alter table warehouse.organizations disable row level security",
            "alter table warehouse.connections disable row level security",
        ),
    ),
)
