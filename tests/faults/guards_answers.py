"""Guards against what AWS answers, and how each is taken away."""

from contextlib import suppress

from botocore.exceptions import ClientError

from tests.faults.guards import Guard
from thirdsentry_pipeline.aws import dialects, paging, reading, role_session
from thirdsentry_pipeline.aws.errors import RegionDisabled
from thirdsentry_pipeline.domain.evidence import ErrorCode


def answers_are_taken_as_they_come(monkeypatch):
    monkeypatch.setattr(dialects, "check_answer", lambda **_: None)


def what_fails_leaves_the_scope(monkeypatch):
    monkeypatch.setattr(reading, "classify", lambda _error: RegionDisabled())


def every_failure_is_a_denial(monkeypatch):
    monkeypatch.setattr(reading, "classify", lambda _error: ErrorCode.DENIED)


def a_list_ends_where_it_fails(monkeypatch):
    real = paging.pages

    def pages(*arguments):
        with suppress(ClientError):
            yield from real(*arguments)

    monkeypatch.setattr(paging, "pages", pages)


def any_account_will_do(monkeypatch):
    monkeypatch.setattr(role_session, "_check_account", lambda *_: None)


GUARDS = (
    Guard(
        name="answers are checked",
        fault=24,
        removes="an answer is held against its model before it is parsed",
        tests=("test_no_answer_becomes_a_verdict_that_it_does_not_prove",),
        patch=answers_are_taken_as_they_come,
        only="0",
        quick=True,
    ),
    Guard(
        name="regions stay in scope",
        fault=21,
        removes="a region leaves the scope only when AWS says that it is not in use",
        tests=("test_a_failing_region_costs_exactly_itself",),
        patch=what_fails_leaves_the_scope,
        only="guardduty.ListDetectors",
        quick=True,
    ),
    Guard(
        name="failures have classes",
        fault=21,
        removes="a failure is told by its class",
        tests=("test_a_failing_operation_costs_exactly_what_rests_on_it",),
        patch=every_failure_is_a_denial,
        only="iam.GetAccountPasswordPolicy",
    ),
    Guard(
        name="lists are whole",
        fault=20,
        removes="a list that fails on a later page is unread",
        tests=("test_a_token_that_expires_between_pages_leaves_no_short_list",),
        patch=a_list_ends_where_it_fails,
        only="1",
        quick=True,
    ),
    Guard(
        name="the account is confirmed",
        fault=22,
        removes="the account behind the role is the one that was connected",
        tests=("test_a_role_that_does_not_open_writes_no_observation_and_says_so_once",),
        patch=any_account_will_do,
        only="another account",
    ),
    Guard(
        name="times are whole",
        fault=25,
        removes="a report's time is a date with its time and zone",
        tests=("test_a_report_without_a_whole_time_is_unread",),
        patch=answers_are_taken_as_they_come,
        only="12:00Z",
        quick=True,
    ),
)
