"""The sensor on a real instance and the command line: the same evaluation behind both."""

import json

import pytest
from dagster import DefaultSensorStatus, build_sensor_context
from psycopg import sql

from tests.dagster_fixtures import create
from tests.integration.dbt.coverage_rows import hours_ago
from thirdsentry_pipeline.automation import sensors
from thirdsentry_pipeline.automation.instance import persistent_instance
from thirdsentry_pipeline.cli.main import run
from thirdsentry_pipeline.definitions import defs
from thirdsentry_pipeline.domain.evidence import EvidenceType
from thirdsentry_pipeline.settings import Settings, with_database

pytestmark = pytest.mark.integration
TYPES = len(EvidenceType)


@pytest.fixture
def settings(lab, sandbox_environment, tmp_path, monkeypatch):
    """The environment of an installation on the lab's warehouse, without sinks."""
    for role, name in (("pipeline", ""), ("scheduler", "SCHEDULER_"), ("transform", "TRANSFORM_")):
        monkeypatch.setenv(f"THIRDSENTRY_{name}DATABASE_URL", lab.database.url(role))
    monkeypatch.setenv("THIRDSENTRY_HOME", str(tmp_path / "home"))
    return Settings.from_environment()


@pytest.fixture
def instance(settings, postgres_server, dagster_template, worker_id, monkeypatch):
    name = f"dagster_of_alerts_{worker_id}"
    drop = sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
    postgres_server.execute(drop, create(name, dagster_template))
    url = with_database(postgres_server.settings.login_url("dagster"), name)
    monkeypatch.setenv("THIRDSENTRY_DAGSTER_DATABASE_URL", url)
    with persistent_instance(Settings.from_environment()) as running:
        yield running
    postgres_server.execute(drop)


def tick(instance, cursor=None):
    sensor = defs.get_repository_def().get_sensor_def("coverage_alerts")
    resources = {name: defs.resources[name] for name in ("warehouse", "assume_role")}
    with build_sensor_context(instance=instance, cursor=cursor, resources=resources) as context:
        return sensor.evaluate_tick(context)


@pytest.fixture
def thirdsentry(settings, capfd):
    def call(*arguments):
        capfd.readouterr()
        code = run(arguments)
        captured = capfd.readouterr()
        return code, captured.out, captured.err

    return call


def test_sensor_is_on_and_looks_every_minute():
    sensor = defs.get_repository_def().get_sensor_def("coverage_alerts")
    assert sensor.default_status is DefaultSensorStatus.RUNNING
    assert sensor.minimum_interval_seconds == 60


def test_sensor_tells_both_sinks_and_then_has_no_news(lab, instance, topic, receiver, monkeypatch):
    monkeypatch.setenv("THIRDSENTRY_ALERT_SNS_TOPIC_ARN", topic.arn)
    monkeypatch.setenv("THIRDSENTRY_ALERT_WEBHOOK_URL", receiver.url)
    lab.stale()
    told = tick(instance)
    assert "7 alerts opened, 0 resolved, 7 delivered" in told.skip_message
    assert "0 alerts opened, 0 resolved, 0 delivered" in tick(instance).skip_message
    assert (len(topic.take()), len(receiver.got)) == (1, 1)


def test_sensor_goes_on_where_its_time_was_over(lab, instance, receiver, monkeypatch):
    monkeypatch.setenv("THIRDSENTRY_ALERT_WEBHOOK_URL", receiver.url)
    for name in ("First", "Second"):
        lab.stale()
        lab.admin.execute(
            "update warehouse.organizations set name = %s where name = 'Acme'", [name]
        )
    names = lab.rows("select name, organization_id from warehouse.organizations order by 2")
    (before, cursor), (after, _) = [tuple(row.values()) for row in names]
    monkeypatch.setattr(sensors, "ALERTS_SECONDS", 0.0)
    assert tick(instance, cursor).cursor == cursor
    monkeypatch.setattr(sensors, "ALERTS_SECONDS", 25.0)
    tick(instance, cursor)
    assert [text.split(": ")[1] for text in receiver.texts] == [after, before]


def test_sensor_waits_for_the_first_build(lab, instance):
    lab.admin.execute("drop schema coverage cascade")
    lab.organization()
    assert "not built yet" in tick(instance).skip_message


def test_command_evaluates_delivers_and_lists(lab, thirdsentry, receiver, monkeypatch):
    monkeypatch.setenv("THIRDSENTRY_ALERT_WEBHOOK_URL", receiver.url)
    tenant, connection_id = lab.stale()
    other, _ = lab.stale()
    code, out, _ = thirdsentry("alerts", "evaluate", "--json")
    summary = json.loads(out)
    assert code == 0
    assert (summary["opened"], summary["delivered"]) == (2 * TYPES, 2 * TYPES)
    assert summary["sinks"] == ["webhook"]
    tenant.observe_all(connection_id, hours_ago(0))
    code, out, _ = thirdsentry("alerts", "evaluate")
    assert out == (
        "2 organizations: 0 alerts opened, 7 resolved, 7 delivered, 0 wait for a sink (webhook)\n"
    )
    code, out, _ = thirdsentry("alerts", "--json")
    assert [row["state"] for row in json.loads(out)].count("resolved") == TYPES
    code, out, _ = thirdsentry("alerts", "--json", "--organization", other.organization_id)
    assert {row["organization_id"] for row in json.loads(out)} == {other.organization_id}
    code, out, _ = thirdsentry("alerts", "--organization", other.organization_id)
    assert (code, out.count("open")) == (0, TYPES + 1)


def test_command_exits_1_when_a_sink_fails_and_says_which(lab, thirdsentry, receiver, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("THIRDSENTRY_ALERT_WEBHOOK_URL", receiver.url)
    receiver.status = 502
    tenant, _ = lab.stale()
    code, out, err = thirdsentry("alerts", "evaluate", "--json")
    assert code == 1
    assert json.loads(out)["failed"] == TYPES
    assert err == f"{tenant.organization_id}: The webhook answered HTTP 502.\n"
    code, out, _ = thirdsentry("alerts")
    assert "HTTP 502" in out


def test_command_without_news_says_so(lab, thirdsentry):
    assert "Nothing is wrong" in thirdsentry("alerts")[2]
    code, _, err = thirdsentry("alerts", "--organization", "65f0a1b2c3d4e5f6a7b8c9d0")
    assert (code, "There is no organization" in err) == (2, True)
