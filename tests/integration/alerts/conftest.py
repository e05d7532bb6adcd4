"""A warehouse with the coverage views, organizations in named states, and places to send to."""

import json
import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from uuid import uuid4

import psycopg
import pytest
from psycopg.rows import dict_row

from tests.databases import WarehouseDatabase
from tests.integration.dbt.coverage_rows import Tenant, hours_ago
from thirdsentry_pipeline.aws.notify import SnsTopic
from thirdsentry_pipeline.aws.sessions import PlatformAws
from thirdsentry_pipeline.operations.alert_sinks import Webhook
from thirdsentry_pipeline.operations.alerts import evaluate_alerts

PLATFORM_ACCOUNT = "123456789012"


@pytest.fixture
def warehouse(postgres_server, coverage_template):
    """An empty warehouse with the views."""
    name = f"alerts_{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}"
    database = WarehouseDatabase(postgres_server, name, coverage_template)
    database.reset()
    yield database
    database.drop()


@dataclass
class Recorder:
    """A sink that keeps what it takes, and fails while ``error`` is set."""

    name: str = "recorder"
    messages: list = field(default_factory=list)
    error: Exception | None = None

    def send(self, message):
        if self.error is not None:
            raise self.error
        self.messages.append(message)

    @property
    def told(self):
        """(state, kind) of everything taken, message by message."""
        return [sorted({(one.state, one.kind) for one in m.entries}) for m in self.messages]


@dataclass
class Lab:
    """Organizations to seed past the clock, and evaluations to make."""

    database: WarehouseDatabase
    admin: psycopg.Connection
    sink: Recorder

    def organization(self):
        return Tenant.add(self.admin)

    def stale(self, hours=50.0):
        """An organization with one connection, all of whose evidence is that old."""
        tenant = self.organization()
        connection_id = tenant.connect(hours_ago(hours + 1))
        tenant.observe_all(connection_id, hours_ago(hours))
        return tenant, connection_id

    def evaluate(self, *sinks, **options):
        return evaluate_alerts(
            self.database.engine("pipeline"),
            self.database.engine("scheduler"),
            sinks or (self.sink,),
            **options,
        )

    def run(self, tenant, connection_id, status, hours, error_code=None):
        """A connector run that ended so many hours ago; of two times, the first is its begin."""
        began, hours = hours if isinstance(hours, tuple) else (hours, hours)
        started = hours_ago(began)
        run_id = uuid4()
        moment = hours_ago(hours)
        self.admin.execute(
            "insert into warehouse.connector_runs (organization_id, run_id, connection_id,"
            " account_id, partition_day, dagster_run_id, status, error_code, started_at,"
            " finished_at) select organization_id, %s, connection_id, account_id, %s, 'test', %s,"
            " %s, %s, %s from warehouse.connections where connection_id = %s",
            (
                run_id,
                moment.date(),
                status,
                error_code,
                started,
                None if status == "running" else moment,
                connection_id,
            ),
        )
        return run_id

    def status(self, connection_id, status):
        self.admin.execute(
            "update warehouse.connections set status = %s where connection_id = %s",
            (status, connection_id),
        )

    def rows(self, query, *parameters):
        return self.admin.execute(query, parameters).fetchall()

    def alerts(self):
        return self.rows("select * from warehouse.alerts order by episode_key")

    def audit(self):
        """How often each action was audited."""
        counted = self.rows("select action, count(*) as times from warehouse.audit_log group by 1")
        return {row["action"]: row["times"] for row in counted}

    def retry_now(self):
        """Let the time until the next attempt be over."""
        self.admin.execute("update warehouse.alerts set next_delivery_at = now()")


@pytest.fixture
def lab(warehouse):
    with psycopg.connect(warehouse.admin_url, autocommit=True, row_factory=dict_row) as admin:
        yield Lab(warehouse, admin, Recorder())


@dataclass
class Receiver:
    """A loopback webhook: what it got, and how it answers from now on."""

    url: str = ""
    got: list = field(default_factory=list)
    headers: list = field(default_factory=list)
    status: int = 200
    answer_headers: dict = field(default_factory=dict)
    hold: Event | None = None
    sink: Webhook | None = None

    @property
    def texts(self):
        return [body["text"] for body in self.got]


@contextmanager
def receiving():
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            length = int(self.headers["Content-Length"])
            receiver.got.append(json.loads(self.rfile.read(length)))
            receiver.headers.append(dict(self.headers))
            if receiver.hold is not None:
                receiver.hold.wait(30)
            self.send_response(receiver.status)
            for name, value in receiver.answer_headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments):
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    Thread(target=server.serve_forever, daemon=True).start()
    receiver.url = f"http://127.0.0.1:{server.server_port}/services/T0/SECRETPATH"
    receiver.sink = Webhook(receiver.url)
    try:
        yield receiver
    finally:
        if receiver.hold is not None:
            receiver.hold.set()
        server.shutdown()
        server.server_close()


@pytest.fixture
def receiver():
    with receiving() as running:
        yield running


@dataclass
class Topic:
    """A topic with a queue behind it, in the sandbox."""

    arn: str
    sink: SnsTopic
    queue: object
    queue_url: str

    def take(self):
        """The messages since the last time, as SNS hands them to a queue."""
        found = []
        while batch := self.queue.receive_message(
            QueueUrl=self.queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=0
        ).get("Messages"):
            for one in batch:
                found.append(json.loads(one["Body"]))
                self.queue.delete_message(
                    QueueUrl=self.queue_url, ReceiptHandle=one["ReceiptHandle"]
                )
        return found


@pytest.fixture
def topic(empty_sandbox, sandbox_environment):
    admin = empty_sandbox.admin
    sns, queue = (admin.client(service, PLATFORM_ACCOUNT) for service in ("sns", "sqs"))
    arn = sns.create_topic(Name="alerts")["TopicArn"]
    queue_url = queue.create_queue(QueueName="alerts")["QueueUrl"]
    name = queue.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])
    sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=name["Attributes"]["QueueArn"])
    platform = PlatformAws(endpoint_url=empty_sandbox.endpoint_url, region="us-east-1")
    return Topic(arn, SnsTopic(platform, arn), queue, queue_url)
