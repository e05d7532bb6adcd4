"""Observations partitioned by month as docs/capacity.md says: same walls, same refusals."""

import re
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from tests.integration.operations.lab import ORGANIZATION, OTHER_ORGANIZATION, lab
from thirdsentry_pipeline.domain.evidence import EvidenceType
from thirdsentry_pipeline.domain.identifiers import today
from thirdsentry_pipeline.operations.sync import sync_organization
from thirdsentry_pipeline.operations.sync_results import SyncStatus
from thirdsentry_pipeline.warehouse.scope import organization_scope

__all__ = ["lab"]
pytestmark = pytest.mark.integration

RECIPE = Path(__file__).parents[3] / "deploy" / "partition_observations.sql"
COUNT = text("select count(*) from warehouse.evidence_observations")


def statements():
    """The file's statements as psql would send them, for a boundary far ahead of every test."""
    body = re.sub(r"(?m)^\s*--.*\n", "", RECIPE.read_text())
    body = body.replace(":'boundary'", "'2100-01-01'").replace(":'next'", "'2100-02-01'")
    return re.findall(r"(?:\$\$.*?\$\$|[^;$])+;", body, re.DOTALL)


def collect(lab):
    synced = sync_organization(
        lab.services, ORGANIZATION, today(lab.services.clock), tuple(EvidenceType), "a-run"
    )
    assert synced.status is SyncStatus.SUCCEEDED


@pytest.fixture
def partitioned(lab):
    lab.organization()
    lab.organization(OTHER_ORGANIZATION)
    lab.connected()
    collect(lab)
    with psycopg.connect(lab.database.admin_url, autocommit=True) as connection:
        for statement in statements():
            connection.execute(statement)
    return lab


def counted(lab, organization_id):
    with organization_scope(lab.services.pipeline, organization_id) as connection:
        return connection.scalar(COUNT)


def test_observations_go_on_behind_the_same_walls(partitioned):
    collect(partitioned)
    assert counted(partitioned, ORGANIZATION) == 14
    assert counted(partitioned, OTHER_ORGANIZATION) == 0
    with partitioned.services.pipeline.begin() as connection:
        assert connection.scalar(COUNT) == 0
    walls = "select relrowsecurity and relforcerowsecurity from pg_class where relname ~ '^evidence_observations[a-z_]*$' and relkind in ('r', 'p')"
    assert [list(row.values()) for row in partitioned.rows(walls)] == [[True]] * 3
    around = text("select count(*) from warehouse.evidence_observations_before")
    with (
        pytest.raises(DBAPIError, match="permission denied"),
        organization_scope(partitioned.services.pipeline, ORGANIZATION) as connection,
    ):
        connection.scalar(around)


def test_no_partition_can_be_changed_and_each_counts_a_run_once(partitioned):
    with psycopg.connect(partitioned.database.admin_url, autocommit=True) as connection:
        for table in ("", "_before", "_first_month"):
            for verb in ("delete from", "truncate"):
                with pytest.raises(psycopg.Error, match="append-only"):
                    connection.execute(f"{verb} warehouse.evidence_observations{table}")
    unique = [
        row["indexdef"].partition("USING btree ")[2]
        for row in partitioned.rows(
            "select indexdef from pg_indexes where tablename ~ '^evidence_observations_'"
            " and indexdef like 'CREATE UNIQUE%'"
        )
    ]
    once = "(organization_id, run_id, connection_id, evidence_type"
    assert sorted(unique) == [f"{once})"] * 2 + [f"{once}, observed_at)"] * 2
