"""Dagster's database filled with the history of many nights, from one real run."""

from __future__ import annotations

from datetime import timedelta

import psycopg
from psycopg import sql

from benchmarks.lab import Lab, account_id, organization_id
from thirdsentry_pipeline.automation.instance import persistent_instance
from thirdsentry_pipeline.automation.launch import run_evidence_job
from thirdsentry_pipeline.domain.evidence import EvidenceType
from thirdsentry_pipeline.domain.time import utc_now
from thirdsentry_pipeline.local.quiet_job import quiet_job
from thirdsentry_pipeline.partitions import ORGANIZATIONS
from thirdsentry_pipeline.settings import DAGSTER_DATABASE, with_database

# All that a run leaves, under another run id, organization and day; of older nights only what the
# pages of assets and runs read.
_NIGHT = """
    create temporary table copies on commit drop as
        select gen_random_uuid()::text as run_id, organization,
            {day}::timestamp + interval '2 hours' + n * interval '3 seconds' as began
        from unnest({organizations}::text[]) with ordinality as asked (organization, n);
    insert into runs (
        run_id, snapshot_id, pipeline_name, mode, status, run_body, partition, partition_set,
        create_timestamp, update_timestamp, start_time, end_time, backfill_id
    ) select c.run_id, r.snapshot_id, r.pipeline_name, r.mode, r.status,
        replace(replace(replace(r.run_body, r.run_id, c.run_id), {seed}, c.organization),
            {today}, {day}),
        replace(replace(r.partition, {seed}, c.organization), {today}, {day}), r.partition_set,
        c.began, c.began, extract(epoch from c.began), extract(epoch from c.began) + 2,
        r.backfill_id
    from runs r, copies c where r.run_id = {run};
    insert into run_tags (run_id, key, value)
    select c.run_id, t.key, replace(replace(t.value, {seed}, c.organization), {today}, {day})
    from run_tags t, copies c where t.run_id = {run};
    insert into event_logs (
        run_id, event, dagster_event_type, timestamp, step_key, asset_key, partition
    ) select c.run_id,
        replace(replace(replace(e.event, e.run_id, c.run_id), {seed}, c.organization),
            {today}, {day}),
        e.dagster_event_type, c.began, e.step_key, e.asset_key,
        replace(replace(e.partition, {seed}, c.organization), {today}, {day})
    from copies c, event_logs e
    where e.run_id = {run} and (
        {whole} or e.asset_key is not null or e.dagster_event_type like 'PIPELINE%'
    )
    order by c.began, e.id;
    insert into asset_event_tags (event_id, asset_key, key, value, event_timestamp)
    select e.id, t.asset_key, t.key,
        replace(replace(t.value, {seed}, c.organization), {today}, {day}), c.began
    from copies c
    join event_logs e on e.run_id = c.run_id and e.dagster_event_type = 'ASSET_MATERIALIZATION'
    join asset_event_tags t on t.asset_key = e.asset_key
    join event_logs s on s.id = t.event_id and s.run_id = {run};
"""
WHOLE_NIGHTS = 3
_BYTES = "select sum(pg_total_relation_size(oid)) from pg_class where relkind = 'r'"


def fill_runs(lab: Lab, first: int, organizations: int, days: int) -> tuple[str, float, float]:
    """One night for each day, today the last; an organization, and bytes and rows per run."""
    lab.stub.configure(latency_ms=0, users=100)
    seed, today = organization_id(first), utc_now().date()
    lab.connect(seed, [account_id(first)])
    with quiet_job(lab.settings):
        run, success = run_evidence_job(lab.settings, seed, today, tuple(EvidenceType))
    if not success:
        message = f"the run {run} to copy from failed"
        raise RuntimeError(message)
    names = [organization_id(first + number + 1) for number in range(organizations)]
    with persistent_instance(lab.settings) as instance:
        instance.add_dynamic_partitions(ORGANIZATIONS, names)
    url = with_database(lab.settings.login_url("admin"), DAGSTER_DATABASE)
    with psycopg.connect(url, autocommit=True) as admin:
        before, grown = _bytes(admin), 0.0
        for back in range(days):
            night = {
                "run": run,
                "seed": seed,
                "today": today.isoformat(),
                "day": (today - timedelta(days=back)).isoformat(),
                "organizations": names,
                "whole": back < WHOLE_NIGHTS,
            }
            with admin.transaction():
                _night(admin, night)
            if back < WHOLE_NIGHTS:
                grown = (_bytes(admin) - before) / (organizations * (back + 1))
        rows = _rows_of(admin, run)
        admin.execute("vacuum analyze")
    return names[0], grown, rows


def _night(admin: psycopg.Connection, night: dict[str, object]) -> None:
    values = {name: sql.Literal(value) for name, value in night.items()}
    # Several statements at once travel only without parameters and unprepared.
    admin.execute(sql.SQL(_NIGHT).format(**values).as_string(admin).encode())


def _bytes(admin: psycopg.Connection) -> float:
    found = admin.execute(_BYTES).fetchone()
    return float(found[0]) if found else 0.0


def _rows_of(admin: psycopg.Connection, run: str) -> float:
    found = admin.execute(
        "select 1 + (select count(*) from run_tags where run_id = %(run)s)"
        " + (select count(*) from event_logs where run_id = %(run)s)"
        " + (select count(*) from asset_event_tags t join event_logs e on e.id = t.event_id"
        "    where e.run_id = %(run)s)",
        {"run": run},
    ).fetchone()
    return float(found[0]) if found else 0.0
