"""Guards of leaving, telling and remembering, and how each is taken away."""

from dataclasses import replace
from types import SimpleNamespace

from tests.faults.guards import Guard
from thirdsentry_pipeline.operations import alerts, audit, sync_connection
from thirdsentry_pipeline.warehouse import evidence


def a_revocation_is_not_looked_at(monkeypatch):
    real = evidence.lock_connection
    monkeypatch.setattr(
        evidence, "lock_connection", lambda *known: replace(real(*known), deleted_at=None)
    )


def a_failed_delivery_counts(monkeypatch):
    real = alerts._Sinks.send

    def send(self, sink, message):
        real(self, sink, message)

    monkeypatch.setattr(alerts._Sinks, "send", send)


def nobody_reads_anchors(monkeypatch):
    monkeypatch.setattr(audit, "anchors_of", lambda _: [])


def failures_are_logged_whole(monkeypatch):
    monkeypatch.setattr(
        sync_connection,
        "type",
        lambda failure: SimpleNamespace(__name__=str(failure)),
        raising=False,
    )


GUARDS = (
    Guard(
        name="only the class of a failure is told",
        fault=29,
        removes="what an exception says goes to no log, event or table",
        tests=("test_no_exception_carries_a_secret_out",),
        patch=failures_are_logged_whole,
    ),
    Guard(
        name="the look at the connection before writing",
        fault=27,
        removes="a run looks at its connection, locked, in the transaction that writes",
        tests=("test_revoked_at_any_step_a_run_writes_nothing_more",),
        patch=a_revocation_is_not_looked_at,
        only="before evidence is written",
    ),
    Guard(
        name="what a sink did not take",
        fault=30,
        removes="what a sink did not take is kept and tried again",
        tests=("test_a_sink_that_fails_in_every_way_hears_each_episode_once_it_answers",),
        patch=a_failed_delivery_counts,
        quick=True,
    ),
    Guard(
        name="anchors",
        fault=6,
        removes="a log is held against what was anchored outside of the database",
        tests=("test_an_older_state_is_told_by_the_anchors_and_filled_by_the_next_sync",),
        patch=nobody_reads_anchors,
    ),
)
