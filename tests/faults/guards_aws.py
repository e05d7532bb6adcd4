"""Guards against AWS's limits and texts, huge accounts, hostile tenants; how each is taken away."""

import re
from contextlib import suppress

from botocore.config import Config
from botocore.exceptions import ClientError

from tests.faults.guards import Guard
from thirdsentry_pipeline.aws import (
    account_session,
    answer_reader,
    credential_report,
    guardduty,
    paging,
    reading,
    sessions,
    shapes,
    transport,
)
from thirdsentry_pipeline.aws.role_session import open_role_session
from thirdsentry_pipeline.domain import fingerprint
from thirdsentry_pipeline.operations import connecting

THROTTLED = "test_throttled_reads_are_complete_or_unknown_within_the_budget_of_calls"
TENANT = "test_no_door_lets_a_tenant_into_another_ones_account"
GLOBAL_CLAIMS = """
    alter table warehouse.identity_claims drop constraint identity_claims_one_organization
"""
MEGABYTE = 1024 * 1024


def calls_are_sent_twice_as_often(monkeypatch):
    eager = Config(retries={"mode": "standard", "total_max_attempts": 8})
    monkeypatch.setattr(sessions, "_CONFIG", sessions._CONFIG.merge(eager))


def every_call_has_a_client_of_its_own(monkeypatch):
    real = account_session.AccountSession.client

    def client(self, service, region):
        self._clients.clear()
        return real(self, service, region)

    monkeypatch.setattr(account_session.AccountSession, "client", client)


def a_throttled_list_is_a_short_one(monkeypatch):
    real = paging.pages

    def pages(call, style, parameters):
        with suppress(ClientError):
            yield from real(call, style, parameters)

    monkeypatch.setattr(paging, "pages", pages)


def what_came_is_the_body(monkeypatch):
    monkeypatch.setattr(answer_reader._Reader, "end", lambda _: None)


def nothing_ends_by_time(monkeypatch):
    real = reading.Reads.__init__

    def patient(self, *, max_workers, deadline_seconds):
        real(self, max_workers=max_workers, deadline_seconds=deadline_seconds * 1000)

    monkeypatch.setattr(reading.Reads, "__init__", patient)
    monkeypatch.setattr(transport.Transport, "_check_time", lambda *_: None)


def bodies_are_four_times_as_long(monkeypatch):
    defaults = transport.Transport.__init__.__kwdefaults__
    monkeypatch.setitem(defaults, "largest_body_bytes", 128 * MEGABYTE)


def any_number_of_users_will_do(monkeypatch):
    monkeypatch.setattr(credential_report, "_MOST_USERS", 1_000_000)


def any_number_of_findings_will_do(monkeypatch):
    monkeypatch.setattr(guardduty, "_MOST_FINDINGS", 1_000_000)


def any_text_will_do(monkeypatch):
    monkeypatch.setattr(shapes, "_UNUSABLE", re.compile(r"(?!)"))
    monkeypatch.setattr(fingerprint, "canonical_text", lambda text, _="": fingerprint.nfc(text))


def only_the_right_external_id_is_tried(monkeypatch):
    def probe(*known, **more):
        open_role_session(*known, **more).close()

    monkeypatch.setattr(connecting, "probe_trust", probe)


GUARDS = (
    Guard(
        name="a call is sent four times",
        fault=19,
        removes="a throttled call is sent four times at most",
        tests=(THROTTLED,),
        patch=calls_are_sent_twice_as_often,
        only="1.0",
        quick=True,
    ),
    Guard(
        name="a throttled list is unread",
        fault=19,
        removes="a list that is throttled on the way is unread",
        tests=(THROTTLED,),
        patch=a_throttled_list_is_a_short_one,
        only="0.7",
    ),
    Guard(
        name="the budget is the session's",
        fault=19,
        removes="a session keeps a service's client, and with it what retries are left",
        tests=("test_a_session_stops_trying_again_when_its_budget_of_retries_is_spent",),
        patch=every_call_has_a_client_of_its_own,
    ),
    Guard(
        name="bodies are whole",
        fault=23,
        removes="a body is as long as its head promised",
        tests=("test_a_body_that_ends_early_and_can_still_be_read_is_unread",),
        patch=what_came_is_the_body,
        quick=True,
    ),
    Guard(
        # Either would end the account alone, so both go: what a call may take, and a reader's wait.
        name="deadlines",
        fault=23,
        removes="a call and an account have an end in time",
        tests=("test_a_broken_line_ends_by_the_deadline_with_everything_unread",),
        patch=nothing_ends_by_time,
        only="one byte at a time",
    ),
    Guard(
        # Either would do alone, so both go: the check of what AWS sent, and of what a payload holds.
        name="texts can be stored",
        fault=24,
        removes="a text that no row can hold, such as one with a NUL, is malformed",
        tests=("test_hostile_answers_become_the_rows_that_they_prove",),
        patch=any_text_will_do,
        quick=True,
    ),
    Guard(
        name="the cap on a body",
        fault=26,
        removes="a body longer than 32 MB is given up",
        tests=("test_memory_is_bounded_whatever_comes",),
        patch=bodies_are_four_times_as_long,
    ),
    Guard(
        name="the cap on users",
        fault=26,
        removes="a report of more than 50,000 users is unread",
        tests=("test_one_more_than_the_most_is_unread_and_not_cut",),
        patch=any_number_of_users_will_do,
    ),
    Guard(
        name="the cap on findings",
        fault=26,
        removes="a region of more than 100,000 findings is unread",
        tests=("test_one_more_than_the_most_is_unread_and_not_cut",),
        patch=any_number_of_findings_will_do,
    ),
    Guard(
        name="claims",
        fault=28,
        removes="a role and an external id are one organization's",
        tests=(TENANT,),
        sql=(GLOBAL_CLAIMS,),
    ),
    Guard(
        name="trust is proven",
        fault=28,
        removes="a role that opens without its external id is refused",
        tests=(TENANT,),
        patch=only_the_right_external_id_is_tried,
    ),
)
