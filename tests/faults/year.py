"""Days of the product's life, one after the other, on a moved clock.

Real: the schedules' cron lines and the schedule's function, the three sensors, the sync with its
transactions, the warehouse's SQL, the models' SQL as dbt compiles it, people's revocations.
Played: AWS (what a role answers is drawn from the seed), Dagster's queue (a requested run starts
a few minutes later) and the clock.
"""

from collections import Counter, defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from types import SimpleNamespace
from uuid import uuid4

import dagster as dg
from dagster._utils.schedules import schedule_execution_time_iterator

from thirdsentry_pipeline.automation import sensors
from thirdsentry_pipeline.automation.schedules import aws_evidence_daily, coverage_history_daily
from thirdsentry_pipeline.aws.collect import CollectedAccount
from thirdsentry_pipeline.aws.sessions import PlatformAws
from thirdsentry_pipeline.domain.errors import RunFailedError
from thirdsentry_pipeline.domain.evidence import (
    ErrorCode,
    EvidenceType,
    Reading,
    ReadStatus,
    Verdict,
)
from thirdsentry_pipeline.domain.identifiers import queued_day_may_start
from thirdsentry_pipeline.operations import sync_connection
from thirdsentry_pipeline.operations.connecting import revoke
from thirdsentry_pipeline.operations.sync import sync_organization
from thirdsentry_pipeline.partitions import day_and_organization
from thirdsentry_pipeline.warehouse import connections, data_keys
from thirdsentry_pipeline.warehouse.organizations import add_organization
from thirdsentry_pipeline.warehouse.scope import organization_scope

TYPES = tuple(EvidenceType)
MOST_CATCH_UP = 5
"""Ticks of one schedule that Dagster makes up for after an outage."""
SENSOR_TIMES = (timedelta(hours=3), timedelta(hours=11, minutes=40), timedelta(hours=19, minutes=5))


@dataclass
class Read:
    at: datetime
    status: str
    verdict: str | None
    run_id: str


@dataclass
class Run:
    at: datetime
    is_good: bool
    run_id: str


@dataclass
class Account:
    """One connection and all that was done to it."""

    id: str
    organization_id: str
    account_id: str
    connected_at: datetime
    revoked_at: datetime | None = None
    refuses_until: datetime | None = None
    is_refused: bool = False
    reads: dict = field(default_factory=lambda: defaultdict(list))
    runs: list = field(default_factory=list)
    tried: Counter = field(default_factory=Counter)
    verdicts: dict = field(default_factory=lambda: dict.fromkeys(TYPES, Verdict.PASS))


@dataclass
class Organization:
    id: str
    created_at: datetime
    connections: list = field(default_factory=list)


@dataclass(eq=False)
class Session:
    """An open role."""

    account: Account
    run_id: str
    calls: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(api_calls=7))


class Recorder:
    """A sink that counts what it is told: alert and state."""

    name = "recorder"

    def __init__(self):
        self.told = Counter()

    def send(self, message):
        for entry in message.entries:
            self.told[str(entry.alert_id), entry.state] += 1


class Year:
    """The world; ``live`` plays it, the rest is for looking at it afterwards."""

    def __init__(self, database, clock, seed, history, instance):
        self.clock, self.chance, self.history = clock, Random(seed), history  # noqa: S311 - a seeded world, no secret
        self.services = SimpleNamespace(
            pipeline=database.engine("pipeline"),
            scheduler=database.engine("scheduler"),
            platform=PlatformAws(region="us-east-1"),
            clock=clock,
        )
        self.instance = instance
        self.sink = Recorder()
        self.organizations = {}
        self.accounts = {}
        self.looked_at = []
        self.refused_when_looked = []
        self.refused_days = 0
        self.healthy_days = []
        self.closed_until = None
        self.cursor = None

    # --- people

    def found(self):
        """A new organization with its first account."""
        number = len(self.organizations) + 1
        organization = Organization(f"{number:024x}", self.clock())
        self.organizations[organization.id] = organization
        with organization_scope(self.services.pipeline, organization.id) as c:
            add_organization(c, organization.id, f"Organization {number}")
            data_keys.insert_data_key(c, version=1, kms_key_id="key", wrapped_key=b"wrapped")
        self.connect(organization)

    def connect(self, organization):
        identity = uuid4()
        account = Account(
            str(identity), organization.id, f"{len(self.accounts) + 1:012d}", self.clock()
        )
        with organization_scope(self.services.pipeline, organization.id) as c:
            connections.insert_connection(
                c,
                connection_id=identity,
                role_arn=f"arn:aws:iam::{account.account_id}:role/ThirdSentry",
                account_id=account.account_id,
                credential_blob=b"sealed",
                key_version=1,
            )
        self.accounts[account.id] = account
        organization.connections.append(account)

    def leave(self, account):
        revoke(self.services, account.organization_id, account.id)
        account.revoked_at, account.is_refused = self.clock(), False

    def someone_acts(self):
        """Now and then somebody comes, goes, opens a role again or syncs by hand."""
        live = [one for one in self.accounts.values() if one.revoked_at is None]
        drawn = self.chance.random()
        if drawn < 0.05 and len(self.organizations) < 4:
            self.found()
        elif drawn < 0.12 and len(live) < 6:
            self.connect(self.chance.choice(list(self.organizations.values())))
        elif drawn < 0.16 and live:
            self.leave(self.chance.choice(live))
        elif drawn < 0.24 and live:
            self.chance.choice(live).refuses_until = self.clock() + timedelta(
                days=self.chance.choice((0.5, 1, 2, 4, 9))
            )
        elif drawn < 0.30 and live:
            self.sync(self.chance.choice(live).organization_id, by_schedule=False)

    # --- AWS

    @contextmanager
    def role(self, _platform, role, *_arguments, **_more):
        account = self.of(role.account_id)
        run_id = _arguments[2]
        if account.refuses_until is not None and self.clock() < account.refuses_until:
            account.is_refused = True
            account.runs.append(Run(self.clock(), is_good=False, run_id=str(run_id)))
            message = "The role does not open."
            raise RunFailedError(ErrorCode.ASSUME_ROLE_DENIED, message)
        account.is_refused = False
        yield Session(account, str(run_id))

    def of(self, account_id):
        return next(one for one in self.accounts.values() if one.account_id == account_id)

    def collected(self, session, types, **_more):
        account = session.account
        readings = {kind: self.reading(account, kind) for kind in types}
        for kind, one in readings.items():
            account.reads[kind].append(
                Read(self.clock(), one.read_status, one.verdict, session.run_id)
            )
        is_good = any(one.verdict for one in readings.values())
        account.runs.append(Run(self.clock(), is_good, session.run_id))
        return CollectedAccount(readings, api_calls=7, throttles=0, seconds=0.1)

    def reading(self, account, kind):
        drawn = self.chance.random()
        if drawn < 0.06:
            return Reading(kind, ReadStatus.DENIED, error_code=ErrorCode.DENIED)
        if drawn < 0.09:
            return Reading(kind, ReadStatus.ERROR, error_code=ErrorCode.THROTTLED)
        if drawn < 0.12:
            account.verdicts[kind] = self.chance.choice(list(Verdict))
        payload = {
            "regions": [{"region": "us-east-1", "state": "enabled"}],
            "regions_in_scope": ["us-east-1"],
        }
        return Reading(kind, ReadStatus.OK, account.verdicts[kind], payload)

    # --- the daemon

    def sync(self, organization_id, *, by_schedule):
        """A run of the day under way; its accounts answer at this moment of the clock."""
        today = self.clock().date()
        tick = self.clock()
        for one in self.organizations[organization_id].connections:
            if by_schedule and one.revoked_at is None and one.connected_at < tick:
                one.tried[today] += 1
        sync_organization(
            self.services, organization_id, today, TYPES, str(uuid4()), due_only=by_schedule
        )
        self.clock.tick(7)

    def collect(self, scheduled_at):
        """The schedule's tick, and its runs unless their day has gone by."""
        context = dg.build_schedule_context(
            instance=self.instance, scheduled_execution_time=scheduled_at
        )
        self.clock.tick(40)
        warehouse = SimpleNamespace(scheduler=self.services.scheduler)
        for request in aws_evidence_daily(context, warehouse=warehouse):
            if isinstance(request, dg.SkipReason):
                continue
            day, organization_id = day_and_organization(request.partition_key)
            if queued_day_may_start(day, self.clock()) and day == self.clock().date():
                self.sync(organization_id, by_schedule=True)
            else:
                self.refused_days += 1

    def close_days(self):
        self.history.run()
        self.closed_until = self.clock().replace(hour=0, minute=0, second=0, microsecond=0)

    def look(self):
        """The sensors, once each, in the order the daemon may take them."""
        warehouse = SimpleNamespace(
            pipeline=self.services.pipeline, scheduler=self.services.scheduler
        )
        resources = {"warehouse": warehouse}
        context = dg.build_sensor_context(instance=self.instance, cursor=self.cursor)
        sensors.organization_registry(context, **resources)
        sensors.abandoned_runs(**resources)
        nothing = SimpleNamespace(platform=lambda: None)
        found = sensors.coverage_alerts(context, **resources, assume_role=nothing)
        assert "alerts opened" in str(found.skip_reason)
        self.looked_at.append(self.clock())
        live = self.accounts.values()
        self.refused_when_looked.append({one.id for one in live if one.is_refused})

    def catch_up(self, since):
        """What Dagster's scheduler does when it is back: the last five ticks that it missed."""
        for schedule, act in (
            (coverage_history_daily, lambda _: self.close_days()),
            (aws_evidence_daily, self.collect),
        ):
            missed = list(ticks(schedule, since, self.clock()))[-MOST_CATCH_UP:]
            for moment in missed:
                act(moment)

    def live(self, first_day, days, outages):
        """Play the days; ``outages`` maps the number of a day to how long the daemon is off.

        An outage begins at one and ends at ten in the morning.
        """
        off_since, back_at = None, None
        for number in range(days):
            day = first_day + timedelta(days=number)
            if number in outages:
                off_since = day + timedelta(hours=1)
                back_at = off_since + timedelta(days=outages[number], hours=9)
            plan = [
                (day + timedelta(hours=self.chance.uniform(4, 23)), self.someone_acts)
                for _ in range(2)
            ]
            plan += [(moment, self.close_days) for moment in on(coverage_history_daily, day)]
            plan += [
                (moment, lambda at=moment: self.collect(at))
                for moment in on(aws_evidence_daily, day)
            ]
            plan += [(day + at, self.look) for at in SENSOR_TIMES]
            if back_at is not None and day <= back_at < day + timedelta(days=1):
                since = off_since
                plan.append((back_at, lambda since=since: self.catch_up(since)))
            for moment, act in sorted(plan, key=lambda one: one[0]):
                is_off = off_since is not None and off_since <= moment < back_at
                self.clock.set(max(moment, self.clock()))
                if act == self.someone_acts or not is_off:
                    act()
            if off_since is None or not off_since <= day + timedelta(hours=2) < back_at:
                self.healthy_days.append(day.date())


def ticks(schedule, since, until):
    """When a schedule's own cron line has it run, from ``since`` to before ``until``."""
    times = schedule_execution_time_iterator(
        since.timestamp(), schedule.cron_schedule, schedule.execution_timezone
    )
    for moment in times:
        if moment >= until:
            return
        yield moment.astimezone(UTC)


def on(schedule, day):
    return ticks(schedule, day, day + timedelta(days=1))


def play(monkeypatch, year):
    """Let the product meet this world's AWS and sink."""
    monkeypatch.setattr(sync_connection, "open_external_id", lambda *_: "id")
    monkeypatch.setattr(sync_connection, "open_role_session", year.role)
    monkeypatch.setattr(sync_connection, "collect_account", year.collected)
    monkeypatch.setattr(sensors, "sinks_for", lambda *_: (year.sink,))
