"""Dagster keeps what it is told: the external id and session secrets are never told to it."""

from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from tests.integration.operations.lab import ORGANIZATION
from thirdsentry_pipeline.operations.onboarding import onboard

pytestmark = pytest.mark.integration


def stores(installation):
    """Everything a run leaves behind: each table of Dagster's database, each file of the home."""
    with psycopg.connect(installation.settings.login_url("dagster")) as connection:
        tables = connection.execute(
            "select table_name from information_schema.tables where table_schema = 'public'"
        ).fetchall()
        for (table,) in tables:
            rows = connection.execute(
                sql.SQL("select t::text from {} as t").format(sql.Identifier(table))
            )
            yield table, "\n".join(row for (row,) in rows)
    for path in installation.settings.home.rglob("*"):
        if path.is_file():
            yield str(path), path.read_text(errors="replace")


def found(installation, mark):
    return [name for name, text in stores(installation) if mark in text]


@pytest.mark.parametrize("fault", [None, "sts:AssumeRole"])
def test_a_run_leaves_no_secret_in_dagsters_stores_or_its_output(installation, zygote, fault):
    lab = installation.lab
    lab.organization()
    external_id = onboard(lab.services, ORGANIZATION).external_id
    lab.connected()
    if fault:
        lab.admin.inject_fault(action=fault)
    process = zygote.start("sync", ORGANIZATION)
    assert process.wait() == (1 if fault else 0), process.said()
    output = process.said()
    assert "aws_evidence" in output
    logins = (lab.database.pipeline_url, lab.database.transform_url)
    passwords = [urlsplit(login).password for login in logins]
    for secret in (external_id, *passwords):
        assert found(installation, secret) == []
        assert secret not in output
    # The search would have found them: what a run does say is found the same way.
    assert {"runs", "event_logs"} <= set(found(installation, ORGANIZATION))
