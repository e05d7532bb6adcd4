"""Old runs go with all that belongs to them, and what the UI says of the assets stays true."""

from datetime import timedelta

import dagster as dg
import psycopg
import pytest

from tests.integration.operations.lab import ORGANIZATION
from thirdsentry_pipeline.assets.evidence_specs import EVIDENCE_KEYS
from thirdsentry_pipeline.automation.run_history import delete_old_runs, oldest_kept
from thirdsentry_pipeline.definitions import defs
from thirdsentry_pipeline.domain.evidence import EvidenceType
from thirdsentry_pipeline.domain.time import utc_now
from thirdsentry_pipeline.partitions import (
    ORGANIZATIONS,
    evidence_partitions,
    partition_key,
    window_start,
)

pytestmark = pytest.mark.integration

KEY = EVIDENCE_KEYS[EvidenceType.ROOT_MFA]
LEFT = "select run_id from {} where run_id = any(%s)"


@dg.asset(key=KEY, partitions_def=evidence_partitions)
def evidence(context: dg.AssetExecutionContext):
    context.log.info("said by the run")
    print("printed by the run")  # noqa: T201 - the run's output is what is to go


def materialized(instance, days_ago):
    """A run of the day that many days ago, made then."""
    day = (utc_now() - timedelta(days=days_ago)).date()
    key = partition_key(day, ORGANIZATION)
    done = dg.materialize([evidence], instance=instance, partition_key=key)
    assert done.success
    return done.run_id, key


def age(installation, ages):
    """Put runs and events back in time, as their days are."""
    with psycopg.connect(installation.settings.login_url("dagster"), autocommit=True) as database:
        for run_id, days in ages.items():
            back = (timedelta(days=days), run_id)
            database.execute(
                "update runs set create_timestamp = create_timestamp - %s where run_id = %s", back
            )
            database.execute(
                "update event_logs set timestamp = timestamp - %s where run_id = %s", back
            )


def left(installation, table, run_ids):
    with psycopg.connect(installation.settings.login_url("dagster")) as database:
        return {row[0] for row in database.execute(LEFT.format(table), (list(run_ids),))}


def output_of(installation, run_id):
    return list((installation.settings.dagster_home / "compute_logs").glob(f"{run_id}*"))


def test_old_runs_go_and_every_partition_in_sight_keeps_its_run(installation):
    reach = (utc_now() - window_start(utc_now(), 90)).days
    with installation.instance() as instance:
        instance.add_dynamic_partitions(ORGANIZATIONS, [ORGANIZATION])
        ages = {}
        in_sight = set()
        for days in (reach, 60, 0):
            run_id, key = materialized(instance, days)
            ages[run_id] = days
            in_sight.add(str(key))
        stale, _ = materialized(instance, 1)
        ages[stale] = reach + 40
        under_way = instance.create_run_for_job(defs.resolve_job_def("evidence_checks")).run_id
        ages[under_way] = reach + 300
        newest, _ = materialized(instance, 0)
        ages[newest] = reach + 60
        age(installation, ages)
        assert output_of(installation, stale)

        # One at a time, past the run that is kept: batches are bounded and still get on.
        before = oldest_kept(installation.settings)
        assert delete_old_runs(instance, before=before, batch=1) == 1

        gone = {stale}
        assert left(installation, "runs", ages) == set(ages) - gone
        assert left(installation, "event_logs", ages) == set(ages) - gone
        assert left(installation, "run_tags", gone) == set()
        assert output_of(installation, stale) == []
        assert all(output_of(installation, one) for one in ages if one not in {stale, under_way})
        assert instance.get_materialized_partitions(KEY) >= in_sight
        assert instance.get_latest_materialization_event(KEY).run_id == newest
        assert delete_old_runs(instance, before=before) == 0


def test_a_bound_leaves_the_rest_for_the_next_day(installation):
    with installation.instance() as instance:
        instance.add_dynamic_partitions(ORGANIZATIONS, [ORGANIZATION])
        runs = [materialized(instance, 0)[0] for _ in range(4)]
        age(installation, dict.fromkeys(runs, 200))
        before = oldest_kept(installation.settings)
        assert delete_old_runs(instance, before=before, batch=2, most=2) == 2
        assert delete_old_runs(instance, before=before, batch=2, most=2) == 1
        assert left(installation, "runs", runs) == {runs[-1]}


def test_the_job_is_on_by_default_and_takes_the_setting(installation, monkeypatch):
    monkeypatch.setenv("THIRDSENTRY_RUN_HISTORY_DAYS", "400")
    schedule = defs.resolve_schedule_def("run_history_prune_daily")
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    with installation.instance() as instance:
        instance.add_dynamic_partitions(ORGANIZATIONS, [ORGANIZATION])
        first, last = (materialized(instance, 0)[0] for _ in range(2))
        age(installation, {first: 300, last: 300})
        job = defs.resolve_job_def("run_history_prune")
        assert job.execute_in_process(instance=instance).success
        assert left(installation, "runs", [first]) == {first}
        monkeypatch.delenv("THIRDSENTRY_RUN_HISTORY_DAYS")
        assert job.execute_in_process(instance=instance).success
        assert left(installation, "runs", [first, last]) == {last}
