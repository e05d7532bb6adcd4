"""Many organizations with years of observations: copies of one that was collected for real."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from benchmarks.accounts import sync
from benchmarks.lab import account_id, organization_id
from benchmarks.storage import admin_url

if TYPE_CHECKING:
    from benchmarks.lab import Lab

# As a superuser, who fires no trigger but the one that keeps the steps. Copies differ, or all would
# be judged as one: a fifth of what they hold fails, and the newest reads are up to 60 hours old.
_COPIES = """
    set statement_timeout = 0;
    set session_replication_role = replica;
    set synchronous_commit = off;
    set maintenance_work_mem = '512MB';
    create temporary table copies as
        select
            lpad(to_hex({first} + n), 24, '0') as id, md5('connection' || n)::uuid as connection, n
        from generate_series(1, {count}) as n;
    insert into warehouse.organizations (organization_id, name)
        select id, 'Copy ' || n from copies;
    insert into warehouse.connections (
        organization_id, connection_id, account_id, role_arn, credential_blob, key_version
    ) select k.id, k.connection, c.account_id, c.role_arn, c.credential_blob, c.key_version
    from copies k, warehouse.connections c where c.organization_id = {seed};
    insert into warehouse.evidence (
        organization_id, evidence_id, connection_id, account_id, evidence_type, subject, verdict,
        fingerprint, payload, payload_canonical, schema_version, first_run_id, first_observed_at
    ) select k.id, e.evidence_id, k.connection, e.account_id, e.evidence_type, e.subject,
        e.verdict, e.fingerprint, e.payload, e.payload_canonical, e.schema_version,
        md5(k.id || ({days} - 1))::uuid, now() - make_interval(days => {days} - 1)
    from copies k, warehouse.evidence e where e.organization_id = {seed};
    insert into warehouse.evidence_state
        select k.id, k.connection, s.evidence_type, s.evidence_id,
            case when hashtext(k.id || s.evidence_type) % 5 = 0 then 'fail' else s.verdict end,
            s.fingerprint,
            now() - make_interval(hours => abs(hashtext(s.evidence_type || k.id) % 60)),
            now(), s.last_attempt_status, s.last_error_code
        from copies k, warehouse.evidence_state s where s.organization_id = {seed};
    create temporary table seen as
        select e.evidence_id, e.evidence_type
        from warehouse.evidence e where e.organization_id = {seed};
"""
_DAYS = """
    insert into warehouse.connector_runs (
        organization_id, run_id, connection_id, account_id, partition_day, dagster_run_id, status,
        started_at, finished_at
    ) select k.id, md5(k.id || d)::uuid, k.connection, c.account_id, current_date - d, 'copy',
        'succeeded', now() - make_interval(days => d), now() - make_interval(days => d)
    from copies k, warehouse.connections c, generate_series(0, {days} - 1) d
    where c.organization_id = {seed};
    insert into warehouse.evidence_observations (
        organization_id, run_id, connection_id, evidence_type, read_status, evidence_id,
        observed_at
    ) select r.organization_id, r.run_id, r.connection_id, e.evidence_type, 'ok', e.evidence_id,
        r.started_at
    from warehouse.connector_runs r
    cross join seen e
    where r.dagster_run_id = 'copy';
"""
_INDEXES = """
    select format('drop index %s', i.indexrelid::regclass), pg_get_indexdef(i.indexrelid)
    from pg_index i
    where not i.indisunique and i.indrelid in (
        'warehouse.connector_runs'::regclass, 'warehouse.evidence_observations'::regclass
    )
"""


def fill(lab: Lab, seed: int, organizations: int, days: int) -> None:
    """Collect organization number ``seed`` and copy it that often, with a run on each day."""
    lab.stub.configure(latency_ms=0)
    organization = organization_id(seed)
    lab.connect(organization, [account_id(seed)])
    sync(lab, organization)
    sizes = {"first": seed, "count": organizations, "days": days, "seed": organization}
    with psycopg.connect(admin_url(lab), autocommit=True) as admin:
        _run(admin, _COPIES, sizes)
        # An index of millions of rows is made faster than it grows.
        indexes = admin.execute(_INDEXES).fetchall()
        for drop, _ in indexes:
            admin.execute(drop)
        _run(admin, _DAYS, sizes)
        for _, create in indexes:
            admin.execute(create)
        admin.execute("vacuum analyze")
        # Or what was just loaded is still being written while its readers are measured.
        admin.execute("checkpoint")


def _run(admin: psycopg.Connection, statements: str, values: dict[str, int | str]) -> None:
    filled = sql.SQL(statements).format(**{k: sql.Literal(v) for k, v in values.items()})
    # Several statements at once travel only without parameters and unprepared.
    admin.execute(filled.as_string(admin).encode())
