"""Coverage read as people read it: all organizations at once, and one through a BI login."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from benchmarks.accounts import sync
from benchmarks.lab import Lab, account_id, organization_id
from benchmarks.rows import Row, seconds_of
from benchmarks.storage import admin_url
from thirdsentry_pipeline.assets.dbt_runner import run_dbt
from thirdsentry_pipeline.warehouse.bi_logins import grant_login
from thirdsentry_pipeline.warehouse.scope import organization_scope

if TYPE_CHECKING:
    from collections.abc import Callable

_SEED = 800_000
_TYPES = 7
_ALL_SECONDS, _ONE_SECONDS = 0.020, 0.002
_ALL = "select * from coverage.organization_coverage"

# One organization is collected for real; the others are copies of it, one run a day.
_COPIES = """
    set session_replication_role = replica;
    create temporary table copies as
        select lpad(to_hex({first} + n), 24, '0') as id, n from generate_series(1, {count}) as n;
    insert into warehouse.organizations (organization_id, name)
        select id, 'Copy ' || n from copies;
    insert into warehouse.connections (
        organization_id, connection_id, account_id, role_arn, credential_blob, key_version
    ) select k.id, c.connection_id, c.account_id, c.role_arn, c.credential_blob, c.key_version
    from copies k, warehouse.connections c where c.organization_id = {seed};
    insert into warehouse.connector_runs (
        organization_id, run_id, connection_id, partition_day, dagster_run_id, status, started_at,
        finished_at
    ) select k.id, md5(k.id || d)::uuid, c.connection_id, current_date - d, 'copy', 'succeeded',
        now() - make_interval(days => d), now() - make_interval(days => d)
    from copies k, warehouse.connections c, generate_series(0, {days} - 1) d
    where c.organization_id = {seed};
    insert into warehouse.evidence (
        organization_id, evidence_id, connection_id, account_id, evidence_type, subject, verdict,
        fingerprint, payload, payload_canonical, schema_version, first_run_id, first_observed_at
    ) select k.id, e.evidence_id, e.connection_id, e.account_id, e.evidence_type, e.subject,
        e.verdict, e.fingerprint, e.payload, e.payload_canonical, e.schema_version,
        md5(k.id || ({days} - 1))::uuid, now() - make_interval(days => {days} - 1)
    from copies k, warehouse.evidence e where e.organization_id = {seed};
    insert into warehouse.evidence_observations (
        organization_id, run_id, connection_id, evidence_type, read_status, evidence_id,
        observed_at
    ) select k.id, md5(k.id || d)::uuid, e.connection_id, e.evidence_type, 'ok', e.evidence_id,
        now() - make_interval(days => d)
    from copies k, warehouse.evidence e, generate_series(0, {days} - 1) d
    where e.organization_id = {seed};
    insert into warehouse.evidence_state
        select k.id, s.connection_id, s.evidence_type, s.evidence_id, s.verdict, s.fingerprint,
            now(), now(), s.last_attempt_status, s.last_error_code
        from copies k, warehouse.evidence_state s where s.organization_id = {seed};
    drop table copies;
    set session_replication_role = origin;
"""


def fill(lab: Lab, seed: int, organizations: int, days: int) -> str:
    """Copy one collected organization ``organizations`` times over ``days``; the seed's id."""
    lab.stub.configure(latency_ms=0)
    organization = organization_id(seed)
    lab.connect(organization, [account_id(seed)])
    sync(lab, organization)
    statement = sql.SQL(_COPIES).format(
        first=sql.Literal(seed),
        count=sql.Literal(organizations),
        days=sql.Literal(days),
        seed=sql.Literal(organization),
    )
    with psycopg.connect(admin_url(lab), autocommit=True) as connection:
        connection.execute("set statement_timeout = 0")
        connection.execute(statement.as_string(connection).encode())
        connection.execute("vacuum analyze")
    return organization


def coverage(lab: Lab, observations: int, repetitions: int) -> list[Row]:
    """All of 1,000 organizations as dbt's login, and one organization as its reader."""
    organizations = 1_000
    days = max(1, observations // (organizations * _TYPES))
    fill(lab, _SEED, organizations, days)
    run_dbt(lab.settings, ["build", "--exclude-resource-type", "unit_test", "test"])
    one = organization_id(_SEED + 1)
    with organization_scope(lab.services.pipeline, one) as database:
        granted = grant_login(database, "bi_benchmark", actor="benchmark")
    transform = lab.settings.login_url("transform")
    server = transform.rpartition("@")[2]
    with (
        connect(transform) as everything,
        connect(f"postgresql://bi_benchmark:{granted.password}@{server}") as bi,
    ):
        whole = _median(lambda: _rows(everything, organizations), repetitions)
        single = _median(lambda: _rows(bi, 1), repetitions)
    size = f"{organizations * _TYPES * days:,} observations of {organizations:,} organizations"
    return [
        Row(
            f"coverage of all organizations, planned anew and fetched; {size}",
            f"{whole * 1000:.1f} ms",
            f"≤ {_ALL_SECONDS * 1000:.0f} ms",
            whole <= _ALL_SECONDS,
        ),
        Row(
            f"coverage of one organization through its BI login; {size}",
            f"{single * 1000:.1f} ms",
            f"≤ {_ONE_SECONDS * 1000:.0f} ms",
            single <= _ONE_SECONDS,
        ),
    ]


def connect(url: str) -> psycopg.Connection:
    """A connection that plans every query anew, as one asked for the first time."""
    return psycopg.connect(url, autocommit=True, prepare_threshold=None)


def _rows(connection: psycopg.Connection, least: int) -> None:
    found = connection.execute(_ALL).fetchall()
    if len(found) < least:
        message = f"coverage shows {len(found)} organizations, not {least}"
        raise RuntimeError(message)


def _median(read: Callable[[], None], repetitions: int) -> float:
    read()
    return statistics.median(seconds_of(read) for _ in range(repetitions))
