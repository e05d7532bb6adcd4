import functools
import logging
import os
import threading
import time

import pytest
from botocore.exceptions import ClientError

from thirdsentry_pipeline.aws import reading
from thirdsentry_pipeline.aws.errors import RegionDisabled
from thirdsentry_pipeline.aws.reading import Reads, attempt, settled, within_scope
from thirdsentry_pipeline.domain.evidence import ErrorCode
from thirdsentry_pipeline.domain.facts import RegionScope, Unread


def failing(error):
    def read():
        raise error

    return read


def denied():
    return ClientError({"Error": {"Code": "AccessDenied", "Message": "m"}}, "GetThing")


def test_a_failed_call_is_named_by_its_operation():
    assert attempt("iam:ListThings", failing(denied())) == Unread(ErrorCode.DENIED, "iam:GetThing")


def test_a_bug_is_recorded_and_logged_in_one_line_without_the_text_of_the_answer(caplog):
    with caplog.at_level(logging.ERROR):
        outcome = attempt("iam:X", failing(KeyError("a customer's\nsecret\x1b[31m")))
    assert outcome == Unread(ErrorCode.BUG, "iam:X")
    (line,) = caplog.messages
    assert "KeyError" in line
    assert "secret" not in line
    assert "\n" not in line


def test_one_failed_read_costs_no_other_its_answer():
    reads = Reads(max_workers=2, deadline_seconds=10)
    good = reads.start("a:Good", lambda: 1)
    bad = reads.start("a:Bad", failing(denied()))
    reads.finish()
    assert good.answer == 1
    assert bad.answer == Unread(ErrorCode.DENIED, "a:GetThing")


def test_reads_may_start_further_reads():
    reads = Reads(max_workers=1, deadline_seconds=10)
    found = []

    def follow(answer):
        found.append(reads.start("a:Second", lambda: answer + 1))

    reads.start("a:First", lambda: 1, follow)
    reads.finish()
    assert [slot.answer for slot in found] == [2]


def test_what_fails_after_a_read_makes_it_a_bug():
    reads = Reads(max_workers=1, deadline_seconds=10)
    slot = reads.start("a:First", lambda: 1, lambda _: {}["missing"])
    reads.finish()
    assert slot.answer == Unread(ErrorCode.BUG, "a:First")


def test_the_deadline_leaves_the_slow_unread_and_keeps_the_rest():
    release = threading.Event()
    reads = Reads(max_workers=2, deadline_seconds=1)
    slow = reads.start("a:Slow", lambda: release.wait(10))
    quick = reads.start("a:Quick", lambda: "read")
    reads.finish()
    late = reads.start("a:Late", lambda: "read")
    release.set()
    assert quick.answer == "read"
    assert slow.answer == Unread(ErrorCode.TRANSIENT, "a:Slow")
    assert late.answer == Unread(ErrorCode.TRANSIENT, "a:Late")


def test_no_more_than_the_bound_runs_at_once():
    running, most, lock = 0, 0, threading.Lock()

    def read():
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.005)
        with lock:
            running -= 1

    reads = Reads(max_workers=3, deadline_seconds=10)
    for _ in range(20):
        reads.start("a:X", read)
    reads.finish()
    assert most == 3


needs_policies = pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="Linux alone has it")


@needs_policies
def test_a_read_that_an_answer_wakes_takes_no_core_from_another():
    reads = Reads(max_workers=1, deadline_seconds=10)
    policy = reads.start("a:X", lambda: os.sched_getscheduler(0))
    reads.finish()
    assert policy.answer == os.SCHED_BATCH
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


@needs_policies
def test_where_threads_may_not_choose_their_policy_reads_are_read_all_the_same(monkeypatch):
    def forbidden(*_):
        raise PermissionError

    monkeypatch.setattr(os, "sched_setscheduler", forbidden)
    monkeypatch.setattr(reading, "_threads", functools.cache(reading._threads.__wrapped__))
    reads = Reads(max_workers=1, deadline_seconds=10)
    read = reads.start("a:X", lambda: "read")
    reads.finish()
    assert read.answer == "read"


def test_regions_not_in_use_leave_the_scope():
    scope = RegionScope(("a", "b", "c"), waived=("w",), kind="assumed")
    unread = Unread(ErrorCode.DENIED, "x:Y")
    within, facts = within_scope(scope, {"a": 1, "b": RegionDisabled(), "c": unread}, "x:Y")
    assert within == RegionScope(("a", "c"), waived=("w",), kind="assumed")
    assert facts == {"a": 1, "c": unread}


def test_a_scope_that_loses_every_region_is_unread():
    scope = RegionScope(("a",))
    assert within_scope(scope, {"a": RegionDisabled()}, "x:Y") == (
        Unread(ErrorCode.DENIED, "x:Y"),
        {},
    )


def test_a_region_never_answered_is_unread():
    _, facts = within_scope(RegionScope(("a",)), {}, "x:Y")
    assert facts == {"a": Unread(ErrorCode.TRANSIENT, "x:Y")}


@pytest.mark.parametrize("answer", [1, Unread(ErrorCode.THROTTLED, "x:Y")])
def test_other_answers_of_account_wide_reads_stay(answer):
    assert settled(answer, "x:Y") == answer


def test_an_account_wide_read_has_no_region_to_leave_out():
    assert settled(RegionDisabled(), "x:Y") == Unread(ErrorCode.DENIED, "x:Y")
