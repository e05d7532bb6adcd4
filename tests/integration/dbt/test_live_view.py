"""Building coverage never shows readers an error or an empty mart, and never drops columns."""

from __future__ import annotations

import shutil
import threading
from collections import Counter
from contextlib import contextmanager

import psycopg
import pytest

from tests.integration.dbt.coverage_rows import hours_ago
from tests.integration.dbt.test_coverage_schema import MARTS
from thirdsentry_pipeline.domain.evidence import EvidenceType
from thirdsentry_pipeline.warehouse.migrate import upgrade

pytestmark = pytest.mark.integration

BUILD = ("build", "--exclude-resource-type", "test", "unit_test")
PROBE = """
models:
  - name: probe
    description: A view of this test.
    columns: [{columns}]
"""


@contextmanager
def polling(url: str, organization_id: str, marts: list[str]):
    """Read the marts over and over as the pipeline; yields reads and troubles so far."""
    reads, troubles, ended = Counter(), [], threading.Event()

    def poll() -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(
                "select set_config('app.organization_id', %s, false)", (organization_id,)
            )
            while not ended.is_set():
                for mart in marts:
                    try:
                        found = connection.execute(f"select * from coverage.{mart}").fetchall()
                    except psycopg.Error as error:
                        troubles.append(f"{mart}: {error}")
                    else:
                        reads[mart] += 1
                        if not found:
                            troubles.append(f"{mart}: empty")
                # Readers without a pause would take dbt the core that it builds on.
                ended.wait(0.02)

    thread = threading.Thread(target=poll)
    thread.start()
    try:
        yield reads, troubles
    finally:
        ended.set()
        thread.join()


@pytest.fixture
def tenant_with_rows_everywhere(coverage_project, admin, tenant):
    admin.execute(
        "update warehouse.organizations set created_at = %s where organization_id = %s",
        (hours_ago(50), tenant.organization_id),
    )
    account = tenant.connect(connected_at=hours_ago(50))
    tenant.observe_all(account, hours_ago(1))
    finding = {"region": "eu-west-1", "finding_id": "x", "severity": 8}
    payload = {"users_without_mfa": ["ada"], "findings": [finding]}
    for evidence_type in (EvidenceType.MFA_COVERAGE, EvidenceType.GUARDDUTY_FINDINGS):
        tenant.observe(account, evidence_type, hours_ago(0), verdict="fail", payload=payload)
    coverage_project.succeed("run", "--select", "coverage_daily")
    return tenant


@pytest.mark.parametrize(
    "arguments",
    [
        ["run"],
        ["build", "--select", "stg_warehouse__connections"],
        ["seed"],
    ],
    ids=" ".join,
)
def test_reader_sees_no_error_and_no_empty_mart(
    coverage_project, tenant_with_rows_everywhere, arguments
):
    organization_id = tenant_with_rows_everywhere.organization_id
    url = coverage_project.database.pipeline_url
    with polling(url, organization_id, list(MARTS)) as (reads, troubles):
        coverage_project.succeed(*arguments)
    assert troubles == []
    assert min(reads[mart] for mart in MARTS) > 10


def test_reader_notices_no_migration(coverage_project, tenant_with_rows_everywhere, admin):
    """The upgrade itself, and a revision of the kind to come: a column and an index more."""
    organization_id = tenant_with_rows_everywhere.organization_id
    database = coverage_project.database
    with polling(database.pipeline_url, organization_id, list(MARTS)) as (reads, troubles):
        while min(reads[mart] for mart in MARTS) < 2:
            assert troubles == []
        upgrade(database.admin_url)
        try:
            for table in ("connections", "evidence", "evidence_observations", "evidence_state"):
                with admin.transaction():
                    admin.execute("set local lock_timeout = '10s'")
                    admin.execute(f"alter table warehouse.{table} add column later integer")
                    admin.execute(f"create index {table}_later on warehouse.{table} (later)")
            before = min(reads[mart] for mart in MARTS)
            while min(reads[mart] for mart in MARTS) < before + 2:
                assert troubles == []
        finally:
            for table in ("connections", "evidence", "evidence_observations", "evidence_state"):
                admin.execute(f"alter table warehouse.{table} drop column if exists later")
    assert troubles == []


def test_repeatable_reader_keeps_its_seed_rows(coverage_project, tenant):
    """TRUNCATE would show an older snapshot an empty table."""
    url = coverage_project.database.pipeline_url
    with psycopg.connect(url) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        count = "select count(*) from coverage.control_evidence_map"
        connection.execute("select 1")
        coverage_project.succeed("seed", "--select", "control_evidence_map")
        assert connection.execute(count).fetchone() == (96,)


def test_two_builds_at_once_take_turns(coverage_project, tmp_path, admin):
    second = type(coverage_project)(coverage_project.database, tmp_path)
    coverage_project.succeed("parse")
    (tmp_path / "target").mkdir()
    shutil.copy(
        coverage_project.artifacts / "target" / "partial_parse.msgpack", tmp_path / "target"
    )
    codes = []
    threads = [
        threading.Thread(target=lambda p=project: codes.append(p.run(*BUILD).returncode))
        for project in (coverage_project, second)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [0, 0]
    assert admin.execute("select count(*) as n from coverage.frameworks").fetchone()["n"] == 5


@pytest.fixture
def probe_project(coverage_project, tmp_path, admin):
    """A project with one view of this test's own."""
    yield coverage_project.beside(tmp_path)
    admin.execute("drop view if exists coverage.probe")


def write_probe(project, **columns: str) -> None:
    models = project.directory / "models"
    expressions = ", ".join(f"{value} as {name}" for name, value in columns.items())
    (models / "probe.sql").write_text(f"select {expressions}")
    described = ", ".join(
        f"{{name: {name}, data_type: integer, description: A number.}}" for name in columns
    )
    (models / "probe.yml").write_text(PROBE.format(columns=described))


def test_column_is_added_freely_and_dropped_only_by_full_refresh(probe_project, admin):
    project = probe_project
    write_probe(project, one="1", three="3")
    project.succeed("run")
    write_probe(project, one="1", two="2", three="3")
    project.succeed("run")
    assert admin.execute("select * from coverage.probe").fetchone() == {
        "one": 1,
        "three": 3,
        "two": 2,
    }
    write_probe(project, one="1", three="3")
    refused = project.fail("run")
    assert "would lose two" in refused
    assert "--full-refresh" in refused
    project.succeed("run", "--full-refresh")
    assert admin.execute("select * from coverage.probe").fetchone() == {"one": 1, "three": 3}


def test_view_that_breaks_its_contract_is_not_built(probe_project, admin):
    write_probe(probe_project, one="'text'")
    assert "contract" in probe_project.fail("run")
    assert admin.execute("select to_regclass('coverage.probe') as found").fetchone() == {
        "found": None
    }


@pytest.mark.parametrize("materialized", ["table", "incremental"])
def test_clock_in_a_stored_model_does_not_compile(probe_project, materialized):
    (probe_project.directory / "models" / "probe.sql").write_text(
        f"{{{{ config(materialized='{materialized}', contract={{'enforced': false}}) }}}}\n"
        "select {{ as_of() }} as computed_at"
    )
    assert "as_of() is the moment of reading" in probe_project.fail("compile")
