"""Exceptions that carry a secret, thrown at each step of a real run with every logger at DEBUG."""

import logging
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from tests.integration.operations.lab import ORGANIZATION
from tests.integration.security.traces import EVERY_TABLE, files, forms_of
from thirdsentry_pipeline.automation import launch
from thirdsentry_pipeline.domain.evidence import EvidenceType
from thirdsentry_pipeline.domain.identifiers import today
from thirdsentry_pipeline.domain.time import utc_now
from thirdsentry_pipeline.operations import sync_connection
from thirdsentry_pipeline.operations.connecting import stored_external_id

pytestmark = pytest.mark.integration

CONTROL = "planted-control-4711"
STEPS = ("start_run", "open_external_id", "open_role_session", "collect_account", "record_readings")


def dumped(url):
    """Everything in a database, as the superuser copies it out."""
    with psycopg.connect(url) as connection:
        for schema, table in connection.execute(EVERY_TABLE).fetchall():
            with connection.cursor().copy(f'copy "{schema}"."{table}" to stdout') as rows:
                yield b"".join(map(bytes, rows))


def left_behind(town, captured):
    """Bytes of each store: both databases, the write-ahead log, the home, what was printed."""
    warehouse = town.lab.database.admin_url
    dagster = urlsplit(warehouse)._replace(path=f"/{town.dagster}").geturl()
    with psycopg.connect(warehouse) as connection:
        (data,) = connection.execute("show data_directory").fetchone()
        connection.execute("select pg_switch_wal()")
    return {
        "warehouse": list(dumped(warehouse)),
        "dagster": list(dumped(dagster)),
        "write-ahead log": [content for _, content in files(Path(data) / "pg_wal")],
        "server log": [one.read_bytes() for one in (town.server.home / "postgres").glob("*.log")],
        "home": [content for _, content in files(town.settings().home)],
        "printed": [captured.encode()],
    }


def holding(stores, secret):
    forms = forms_of(secret.encode())
    return [
        name
        for name, found in stores.items()
        if any(form in content for content in found for form in forms)
    ]


@pytest.mark.fault(29)
def test_no_exception_carries_a_secret_out(town, monkeypatch, capfd, caplog, pytestconfig):
    lab = town.lab
    caplog.set_level(logging.DEBUG)
    for name in ("botocore", "urllib3", "sqlalchemy", "psycopg", "dagster"):
        monkeypatch.setattr(logging.getLogger(name), "level", logging.DEBUG)
    connection_id = lab.value(
        "select connection_id from warehouse.connections where organization_id = :id",
        id=ORGANIZATION,
    )
    external_id = stored_external_id(lab.services, ORGANIZATION, connection_id)
    steps = STEPS if pytestconfig.getoption("--long") else STEPS[1::3]
    for step in steps:
        owner = {"start_run": sync_connection.runs, "record_readings": sync_connection.evidence}
        place = owner.get(step, sync_connection)

        def thrown(*_arguments, step=step, **_named):
            message = f"{step} failed with {external_id}"
            raise ValueError(message)

        with monkeypatch.context() as broken:
            broken.setattr(place, step, thrown)
            _, success = launch.run_evidence_job(
                town.settings(), ORGANIZATION, today(utc_now), tuple(EvidenceType)
            )
        assert not success
    secrets = [external_id]
    for session in lab.admin.sessions(secrets=True):
        secrets += [session["secret"], session["token"]]
    assert len(secrets) > 2
    logging.getLogger("thirdsentry_pipeline").warning(CONTROL)
    print(CONTROL)  # noqa: T201 - what the search has to find
    (town.settings().home / "planted").write_text(CONTROL)
    lab.organization("f" * 24, CONTROL)
    captured = capfd.readouterr()
    stores = left_behind(town, captured.out + captured.err + caplog.text)
    found = holding(stores, CONTROL)
    assert {"warehouse", "write-ahead log", "home", "printed"} <= set(found), "it would be found"
    assert stores["dagster"]
    assert stores["server log"]
    assert {n: hit for n, one in enumerate(secrets) if (hit := holding(stores, one))} == {}
    (town.settings().home / "planted").unlink()
    with lab.database.engine("admin").begin() as admin:
        admin.exec_driver_sql(
            "delete from warehouse.organizations where name = 'planted-control-4711'"
        )
    town.heal()
