"""The Dagster instances of the deployments, loaded for real, with what their tasks have set."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import boto3
import pytest
import yaml
from dagster import DagsterInstance, DagsterRunStatus
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.launcher.base import WorkerStatus
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster._core.remote_origin import (
    GrpcServerCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import TickStatus
from moto.backends import get_backend
from moto.server import ThreadedMotoServer
from psycopg import sql

from tests.dagster_fixtures import create
from tests.unit.deploy.terraform_files import load
from thirdsentry_pipeline.automation.instance import instance_config
from thirdsentry_pipeline.definitions import defs
from thirdsentry_pipeline.settings import Settings, with_database

pytestmark = pytest.mark.integration

DEPLOY = Path(__file__).parents[3] / "deploy"
IMAGE = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/thirdsentry@sha256:" + "a" * 64
SECRET = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:thirdsentry/database/"
CANARY = "canary-p4ssword"
REPOSITORY = "__repository__"
# What differs between the machines, and nothing else may.
OF_THE_PLACE = {"storage", "local_artifact_storage", "compute_logs", "run_launcher"}


def configuration(name):
    return yaml.safe_load((DEPLOY / name / "dagster.yaml").read_text())


def variables_in(value):
    """Every variable that a configuration takes from the environment."""
    if isinstance(value, dict):
        if set(value) == {"env"}:
            return {value["env"]}
        return set().union(*map(variables_in, value.values())) if value else set()
    if isinstance(value, list):
        return set().union(*map(variables_in, value)) if value else set()
    return set()


@pytest.fixture
def dagster_url(postgres_server, dagster_template, worker_id, monkeypatch):
    """Dagster's own login as a deployment writes it, in the environment."""
    name = f"dagster_deployed_{worker_id}"
    drop = sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
    postgres_server.execute(drop, create(name, dagster_template))
    url = with_database(postgres_server.settings.login_url("dagster"), name)
    monkeypatch.setenv("THIRDSENTRY_DAGSTER_DATABASE_URL", url.replace("://", "+psycopg2://", 1))
    yield url
    postgres_server.execute(drop)


def test_the_single_hosts_instance_is_the_products_own(dagster_url, tmp_path):
    home = Path("/var/lib/thirdsentry/home")
    own = instance_config(Settings(home=home, login_urls={"dagster": dagster_url}))
    deployed = configuration("compose")
    assert {**deployed, "storage": None} == {**own, "storage": None}, (
        "automation/instance.py changed: change dagster.yaml in deploy/compose and deploy/ecs too"
    )
    assert variables_in(deployed) == {"THIRDSENTRY_DAGSTER_DATABASE_URL"}
    with DagsterInstance.from_config(str(DEPLOY / "compose")) as instance:
        assert type(instance.run_storage).__name__ == "PostgresRunStorage"
        assert type(instance.run_launcher).__name__ == "ForkRunLauncher"
        assert instance.get_runs() == []
        assert instance.run_launcher.supports_check_run_worker_health
        for kind in (InstigatorType.SCHEDULE, InstigatorType.SENSOR):
            kept = instance.get_tick_retention_settings(kind)
            assert {TickStatus.SKIPPED, TickStatus.SUCCESS, TickStatus.FAILURE} <= set(kept)
            assert all(0 < days <= 90 for days in kept.values()), "no tick is kept for ever"


def test_ecs_differs_from_it_in_what_is_of_the_place_alone():
    own = configuration("compose")
    there = configuration("ecs")
    assert there["concurrency"]["runs"].pop("max_concurrent_runs") > 4
    own["concurrency"]["runs"].pop("max_concurrent_runs")
    assert there["run_monitoring"].pop("start_timeout_seconds") == 300
    own["run_monitoring"].pop("start_timeout_seconds")
    assert set(there) == set(own)
    assert {key: there[key] for key in set(there) - OF_THE_PLACE} == {
        key: own[key] for key in set(own) - OF_THE_PLACE
    }


class Metadata(BaseHTTPRequestHandler):
    """What ECS tells a task about itself."""

    def do_GET(self):
        body = self.server.answer.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        """Say nothing."""


@pytest.fixture
def ecs(monkeypatch, dagster_url):
    """The daemon as a Fargate task: an ECS that has its task, and the variables Terraform sets."""
    # On Fargate a task's memory is its own; moto asks each container for one, as on EC2.
    monkeypatch.setattr(
        "moto.ecs.models.EC2ContainerServiceBackend._calculate_task_resource_requirements",
        lambda *_: {"CPU": 0, "MEMORY": 0, "PORTS": [], "PORTS_UDP": []},
    )
    moto = ThreadedMotoServer(port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    (local,) = [one["environment"] for one in load()["locals"] if "environment" in one]
    for name in local:
        monkeypatch.setenv(name, f"value-of-{name.lower()}")
    for role in ("PIPELINE", "SCHEDULER", "TRANSFORM", "DAGSTER"):
        monkeypatch.setenv(f"RUN_SECRET_{role}", f"{SECRET}{role.lower()}")
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "RUN_TASK_ROLE_ARN": "arn:aws:iam::111122223333:role/thirdsentry-pipeline",
        "RUN_EXECUTION_ROLE_ARN": "arn:aws:iam::111122223333:role/thirdsentry-start-run",
        "THIRDSENTRY_DATABASE_URL": f"postgresql://p:{CANARY}@db/thirdsentry",
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("ecs")
    subnet = boto3.client("ec2").describe_subnets()["Subnets"][0]["SubnetId"]
    client.create_cluster(clusterName="thirdsentry")
    client.register_task_definition(
        family="thirdsentry-daemon",
        requiresCompatibilities=["FARGATE"],
        networkMode="awsvpc",
        cpu="1024",
        memory="2048",
        containerDefinitions=[{"name": "daemon", "image": IMAGE}],
    )
    group = boto3.client("ec2").describe_security_groups()["SecurityGroups"][0]["GroupId"]
    network = {"subnets": [subnet], "securityGroups": [group], "assignPublicIp": "DISABLED"}
    (daemon,) = client.run_task(
        cluster="thirdsentry",
        taskDefinition="thirdsentry-daemon",
        launchType="FARGATE",
        networkConfiguration={"awsvpcConfiguration": network},
    )["tasks"]
    metadata = HTTPServer(("127.0.0.1", 0), Metadata)
    metadata.answer = f'{{"Cluster": "thirdsentry", "TaskARN": "{daemon["taskArn"]}"}}'
    threading.Thread(target=metadata.serve_forever, daemon=True).start()
    monkeypatch.setenv("ECS_CONTAINER_METADATA_URI_V4", f"http://127.0.0.1:{metadata.server_port}")
    yield client, subnet
    metadata.shutdown()
    metadata.server_close()
    moto.stop()


def queued_run(instance):
    """A run as the code location's service would have made it."""
    pointer = ModuleCodePointer("thirdsentry_pipeline.definitions", "defs")
    repository = RepositoryPythonOrigin(
        executable_path="/opt/thirdsentry/.venv/bin/python",
        code_pointer=pointer,
        container_image=IMAGE,
        entry_point=["dagster"],
    )
    location = GrpcServerCodeLocationOrigin(
        "code-location.thirdsentry.internal", 4000, None, "thirdsentry"
    )
    origin = RemoteJobOrigin(RemoteRepositoryOrigin(location, REPOSITORY), "aws_evidence")
    return instance.create_run_for_job(
        defs.resolve_job_def("aws_evidence"),
        remote_job_origin=origin,
        job_code_origin=JobPythonOrigin("aws_evidence", repository),
    )


def test_a_run_becomes_a_registered_fargate_task_that_is_watched(ecs):
    client, subnet = ecs
    with DagsterInstance.from_config(str(DEPLOY / "ecs")) as instance:
        assert type(instance.compute_log_manager).__name__ == "S3ComputeLogManager"
        run = queued_run(instance)
        instance.launch_run(run.run_id, workspace=None)
        run = instance.get_run_by_id(run.run_id)
        arn = run.tags["ecs/task_arn"]
        (task,) = client.describe_tasks(cluster="thirdsentry", tasks=[arn])["tasks"]
        definition = client.describe_task_definition(taskDefinition=task["taskDefinitionArn"])
        check_definition(definition["taskDefinition"])
        (override,) = task["overrides"]["containerOverrides"]
        assert override["name"] == "run"
        assert override["command"][:3] == ["dagster", "api", "execute_run"]
        assert run.run_id in override["command"][3]
        details = {one["name"]: one["value"] for one in task["attachments"][0]["details"]}
        assert details["subnetId"] == subnet
        # Names of variables and of secrets travel; what they hold does not.
        assert CANARY not in str(task) + str(definition)
        assert "thirdsentry_dagster:" not in str(task) + str(definition)

        health = instance.run_launcher.check_run_worker_health(run)
        assert health.status is WorkerStatus.RUNNING
        client.stop_task(cluster="thirdsentry", task=arn)
        # Killed, as ECS reports it; moto lets every container end well.
        backend = get_backend("ecs")[account_of(arn)]["eu-west-1"]
        backend.tasks["thirdsentry"][arn].containers[0].exitCode = 137
        health = instance.run_launcher.check_run_worker_health(run)
        assert health.status is WorkerStatus.FAILED
        assert run.status is DagsterRunStatus.STARTING


def account_of(arn):
    return arn.split(":")[4]


def check_definition(definition):
    assert definition["family"].startswith("thirdsentry_")
    assert definition["requiresCompatibilities"] == ["FARGATE"]
    assert definition["taskRoleArn"].endswith("role/thirdsentry-pipeline")
    assert definition["executionRoleArn"].endswith("role/thirdsentry-start-run")
    (container,) = definition["containerDefinitions"]
    assert container["image"] == IMAGE
    assert {one["name"]: one["valueFrom"] for one in container["secrets"]} == {
        "THIRDSENTRY_DATABASE_URL": f"{SECRET}pipeline",
        "THIRDSENTRY_SCHEDULER_DATABASE_URL": f"{SECRET}scheduler",
        "THIRDSENTRY_TRANSFORM_DATABASE_URL": f"{SECRET}transform",
        "THIRDSENTRY_DAGSTER_DATABASE_URL": f"{SECRET}dagster",
    }
    told = {one["name"] for one in container["environment"]}
    assert not {name for name in told if name.endswith("_URL")}
    # A run loads the same instance file: it has to find every variable of it.
    needed = variables_in(configuration("ecs"))
    assert needed <= told | {one["name"] for one in container["secrets"]}


def test_every_task_has_each_variable_that_the_instance_and_its_runs_need():
    document = load()
    (environment,) = [one["environment"] for one in document["locals"] if "environment" in one]
    (by_login,) = [one["variable_of"] for one in document["locals"] if "variable_of" in one]
    there = configuration("ecs")
    handed_on = set(there["run_launcher"]["config"]["env_vars"])
    assert variables_in(there) <= set(environment) | set(by_login.values())
    assert handed_on <= set(environment)
    # Whatever the services are told of the product, its runs are told as well.
    assert {name for name in environment if name.startswith("THIRDSENTRY_")} <= handed_on
