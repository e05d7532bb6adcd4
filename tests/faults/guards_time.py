"""Guards of time, and how each is taken away."""

from uuid import uuid4

from sqlalchemy import true

from tests.faults.guards import Guard
from thirdsentry_pipeline.operations import sync_connection, watching
from thirdsentry_pipeline.resources import warehouse
from thirdsentry_pipeline.warehouse import alerts, connections, episodes

TWO_DAEMONS = "test_two_daemons_at_the_same_instant_add_no_fact_and_no_alert"
DAYS_OF_THE_SESSION = """
    create or replace view coverage.int_history_days with (security_invoker = true) as
    select
      o.organization_id, days.day::date as as_of_date, days.day + interval '1 day' as closed_at
    from warehouse.organizations as o
    cross join lateral generate_series(
      date_trunc('day', o.created_at),
      date_trunc('day', statement_timestamp()) - interval '1 day', interval '1 day'
    ) as days (day)
"""


def every_read_is_new(monkeypatch):
    real = sync_connection.fingerprint_of

    def salted(*, payload, **more):
        return real(payload={**payload, "salt": str(uuid4())}, **more)

    monkeypatch.setattr(sync_connection, "fingerprint_of", salted)


def every_look_finds_anew(monkeypatch):
    real = alerts.open_alert
    monkeypatch.setattr(
        alerts, "open_alert", lambda c, kind, key, **more: real(c, kind, f"{key}{uuid4()}", **more)
    )


def every_refusal_counts(monkeypatch):
    monkeypatch.setattr(connections, "_is_no_refusal_of_the_same_time", lambda *_: true())


def any_clock_will_do(monkeypatch):
    monkeypatch.setattr(warehouse, "require_true_time", lambda *_, **__: None)


def silence_is_fine(monkeypatch):
    monkeypatch.setattr(watching, "LONGEST_SILENCE", watching.LONGEST_SILENCE * 1000)


def what_closed_unseen_is_forgotten(monkeypatch):
    monkeypatch.setattr(episodes, "RECENT", episodes.RECENT * 0)


GUARDS = (
    Guard(
        name="the limit of 48 hours",
        fault=13,
        removes="evidence outlives its threshold by itself",
        tests=("test_three_days_without_a_daemon_are_noticed_and_nothing_is_backdated",),
        sql=("update coverage.connectors set stale_after_hours = 4800",),
        quick=True,
    ),
    Guard(
        name="fingerprints",
        fault=11,
        removes="the same state is the same evidence",
        tests=("test_a_second_tick_adds_no_evidence_and_no_alert",),
        patch=every_read_is_new,
        quick=True,
    ),
    Guard(
        name="fingerprints of two daemons' reads",
        fault=11,
        removes="the same state is the same evidence",
        tests=(TWO_DAEMONS,),
        patch=every_read_is_new,
    ),
    Guard(
        name="one alert per episode",
        fault=11,
        removes="an episode is known by its key, whoever found it",
        tests=(TWO_DAEMONS,),
        patch=every_look_finds_anew,
    ),
    Guard(
        name="one attempt of runs at once",
        fault=11,
        removes="a role that refused two runs at once was tried once, and is waited for once",
        tests=(TWO_DAEMONS,),
        patch=every_refusal_counts,
    ),
    Guard(
        name="days in UTC",
        fault=18,
        removes="days are counted in UTC, whatever zone a session is in",
        tests=("test_every_day_is_one_partition_and_evidence_lasts_48_hours",),
        sql=(DAYS_OF_THE_SESSION,),
        quick=True,
    ),
    Guard(
        name="the clock at the start",
        fault=17,
        removes="a worker whose clock is off that of STS is refused",
        tests=("test_a_worker_three_days_off_writes_nothing_of_its_own_time",),
        patch=any_clock_will_do,
        only="-3",
    ),
    Guard(
        name="silence",
        fault=13,
        removes="a daemon that was not heard for two minutes counts as dead",
        tests=("test_a_dead_daemon_is_noticed_by_its_silence",),
        patch=silence_is_fine,
    ),
    Guard(
        name="episodes that closed unseen",
        fault=13,
        removes="what began and ended while nobody looked is found afterwards",
        tests=("test_a_year_of_days_is_told_right",),
        patch=what_closed_unseen_is_forgotten,
    ),
)
