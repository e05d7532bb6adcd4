"""Guards against what AWS answers, and how each is taken away."""

from tests.faults.guards import Guard
from thirdsentry_pipeline.aws import reading, transport
from thirdsentry_pipeline.aws.errors import RegionDisabled
from thirdsentry_pipeline.domain.evidence import ErrorCode


def answers_are_taken_as_they_come(monkeypatch):
    monkeypatch.setattr(transport, "check_answer", lambda **_: None)


def what_fails_leaves_the_scope(monkeypatch):
    monkeypatch.setattr(reading, "classify", lambda _error: RegionDisabled())


def every_failure_is_a_denial(monkeypatch):
    monkeypatch.setattr(reading, "classify", lambda _error: ErrorCode.DENIED)


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
)
