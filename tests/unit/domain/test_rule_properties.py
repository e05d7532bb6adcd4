"""Promises that hold for every rule, whatever AWS answered."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from thirdsentry_pipeline.domain.evidence import ErrorCode, ReadStatus, Verdict
from thirdsentry_pipeline.domain.facts import (
    AccountSummary,
    CloudTrailFacts,
    CredentialReport,
    CredentialReportRow,
    Detector,
    EventSelector,
    Finding,
    GuardDutyFindingsFacts,
    GuardDutyStatusFacts,
    IamUser,
    MfaCoverageFacts,
    PasswordPolicy,
    PasswordPolicyFacts,
    PublicAccessBlock,
    PublicAccessBlockFacts,
    RegionScope,
    RootMfaFacts,
    Trail,
    TrailStatus,
    Unread,
)
from thirdsentry_pipeline.domain.fingerprint import (
    ACCOUNT_SUBJECT,
    canonical_payload,
    fingerprint_of,
)
from thirdsentry_pipeline.domain.rules.cloudtrail import judge_cloudtrail
from thirdsentry_pipeline.domain.rules.guardduty import (
    judge_guardduty_findings,
    judge_guardduty_status,
)
from thirdsentry_pipeline.domain.rules.iam import (
    judge_mfa_coverage,
    judge_password_policy,
    judge_root_mfa,
)
from thirdsentry_pipeline.domain.rules.s3 import judge_public_access_block

ACCOUNT = "111111111111"
REGIONS = ("ap-south-1", "eu-west-1", "us-east-1")
READ_CODES = [code for code in ErrorCode if code.value in {
    "denied", "denied_by_scp", "throttled", "not_ready", "transient", "malformed", "bug",
}]  # fmt: skip

ANY_TEXT = st.text(st.characters(), max_size=6)
FLAG = st.booleans()
TIMES = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - the strategy adds the zone
UNREAD = st.builds(Unread, st.sampled_from(READ_CODES), st.just("x:Y"))
WORDS = st.sampled_from(["true", "false", "not_supported", "no_information"])
ROWS = st.builds(CredentialReportRow, ANY_TEXT, ANY_TEXT, WORDS, FLAG, FLAG, FLAG)
REPORTS = st.builds(
    CredentialReport, TIMES, st.none() | ROWS, st.lists(ROWS, max_size=4).map(tuple)
)
MAYBE = st.none() | FLAG
SCOPES = st.builds(
    RegionScope,
    st.lists(st.sampled_from(REGIONS), unique=True).map(lambda found: tuple(sorted(found))),
    st.just(("sa-east-1",)),
    st.sampled_from(["enabled", "assumed"]),
)
SELECTORS = st.builds(
    EventSelector,
    FLAG,
    st.sampled_from(["All", "ReadOnly", "WriteOnly"]),
    st.lists(st.sampled_from("ab"), max_size=2).map(tuple),
    FLAG,
)
TRAILS = st.builds(
    Trail,
    st.sampled_from(["t1", "t2", "t3"]),
    st.sampled_from(REGIONS),
    FLAG,
    FLAG,
    FLAG,
    FLAG,
    UNREAD | st.builds(TrailStatus, FLAG, st.none() | TIMES, st.none() | ANY_TEXT),
    UNREAD | st.lists(SELECTORS, max_size=2).map(tuple),
)
DETECTORS = st.builds(Detector, st.just("d"), FLAG, st.none() | st.just("9" * 12))
FINDINGS = st.builds(
    Finding,
    st.sampled_from(REGIONS),
    st.sampled_from(["f1", "f2", "f3"]),
    st.just("T"),
    st.floats() | st.sampled_from([6.99, 7.0, 8.95, 9.0]),
    st.sampled_from([ACCOUNT, "2" * 12]),
    st.none() | TIMES,
    st.none() | TIMES,
    FLAG,
)


def per_region(values):
    every = st.fixed_dictionaries(dict.fromkeys(REGIONS, values))
    most = st.fixed_dictionaries(dict.fromkeys(REGIONS, values | UNREAD))
    return every | most | st.dictionaries(st.sampled_from(REGIONS), values | UNREAD)


CASES = st.one_of(
    st.tuples(
        st.just(judge_root_mfa),
        st.builds(
            RootMfaFacts,
            st.just(ACCOUNT),
            st.sampled_from(["aws", "aws-us-gov"]),
            UNREAD | st.builds(AccountSummary, MAYBE, MAYBE, MAYBE),
            UNREAD | REPORTS,
            UNREAD | st.lists(ANY_TEXT, max_size=2).map(tuple),
        ),
    ),
    st.tuples(
        st.just(judge_mfa_coverage),
        st.builds(
            MfaCoverageFacts,
            UNREAD | REPORTS,
            st.none()
            | UNREAD
            | st.lists(st.builds(IamUser, ANY_TEXT, FLAG, FLAG), max_size=3).map(tuple),
        ),
    ),
    st.tuples(
        st.just(judge_password_policy),
        st.builds(
            PasswordPolicyFacts,
            UNREAD
            | st.none()
            | st.builds(PasswordPolicy, *[st.none() | st.integers()] * 3, *[FLAG] * 4),
        ),
    ),
    st.tuples(
        st.just(judge_public_access_block),
        st.builds(
            PublicAccessBlockFacts,
            UNREAD | st.none() | st.builds(PublicAccessBlock, *[FLAG] * 4),
        ),
    ),
    st.tuples(
        st.just(judge_cloudtrail),
        st.builds(
            CloudTrailFacts,
            UNREAD | SCOPES,
            per_region(st.none()),
            st.lists(TRAILS, max_size=3, unique_by=lambda made: made.arn).map(tuple),
        ),
    ),
    st.tuples(
        st.just(judge_guardduty_status),
        st.builds(GuardDutyStatusFacts, UNREAD | SCOPES, per_region(st.none() | DETECTORS)),
    ),
    st.tuples(
        st.just(judge_guardduty_findings),
        st.builds(
            GuardDutyFindingsFacts,
            st.just(ACCOUNT),
            UNREAD | SCOPES,
            per_region(st.none() | st.lists(FINDINGS, max_size=4).map(tuple)),
        ),
    ),
)


def fingerprint(reading):
    return fingerprint_of(
        organization_id="64b7f3a2c1d4e5f60718293a",
        account_id=ACCOUNT,
        evidence_type=reading.evidence_type,
        subject=ACCOUNT_SUBJECT,
        verdict=reading.verdict,
        payload=reading.payload,
    ).value


@given(CASES)
def test_every_answer_gives_a_reading_that_can_be_stored(case):
    judge, facts = case
    reading = judge(facts)
    assert judge(facts) == reading
    assert reading.regions_unread == tuple(sorted(set(reading.regions_unread)))
    if reading.read_status is ReadStatus.OK:
        assert canonical_payload(reading.payload) == reading.payload
        assert fingerprint(reading)
    else:
        assert reading.error_code in READ_CODES
    if reading.read_status is ReadStatus.DENIED:
        assert reading.error_code.is_denial
    if reading.read_status is ReadStatus.PARTIAL:
        assert reading.regions_unread


def unread_of(value):
    """Every failed read anywhere in the facts."""
    if isinstance(value, Unread):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from unread_of(item)
    elif isinstance(value, tuple):
        for item in value:
            yield from unread_of(item)
    elif hasattr(value, "__slots__"):
        for name in value.__slots__:
            yield from unread_of(getattr(value, name))


def within_its_scope(facts):
    """The facts without what was read of regions that nobody asked about."""
    if not hasattr(facts, "regions") or isinstance(facts.scope, Unread):
        return facts
    asked = {
        region: answer for region, answer in facts.regions.items() if region in facts.scope.in_scope
    }
    return replace(facts, regions=asked)


@given(CASES)
def test_a_failed_read_never_leads_to_a_pass_but_where_the_rest_proves_it(case):
    judge, facts = case
    reading = judge(facts)
    asked = within_its_scope(facts)
    if not list(unread_of(asked)) or reading.verdict is None:
        return
    if judge is judge_cloudtrail:
        assert reading.verdict is Verdict.PASS or not facts.scope.in_scope
    elif judge in {judge_guardduty_status, judge_guardduty_findings}:
        assert reading.verdict is Verdict.FAIL
        unread = {region for region, answer in asked.regions.items() if isinstance(answer, Unread)}
        assert unread <= set(reading.regions_unread)
    elif judge is judge_root_mfa:
        assert reading.verdict is not Verdict.NOT_APPLICABLE or not (
            isinstance(facts.summary, Unread) or isinstance(facts.report, Unread)
        )
    elif judge is judge_mfa_coverage:
        assert not (isinstance(facts.report, Unread) and isinstance(facts.fallback_users, Unread))
    else:
        raise AssertionError(judge)


@given(CASES, st.data())
def test_losing_a_region_never_turns_a_verdict_into_a_better_one(case, data):
    judge, facts = case
    if not hasattr(facts, "regions") or isinstance(facts.scope, Unread) or not facts.scope.in_scope:
        return
    before = judge(facts)
    lost = data.draw(st.sampled_from(facts.scope.in_scope))
    unread = Unread(ErrorCode.TRANSIENT, "x:Y")
    after = judge(replace(facts, regions={**facts.regions, lost: unread})).verdict
    # Without what could not be stored, the rest may prove a failure.
    is_rubbish = (before.read_status, before.error_code) == (ReadStatus.ERROR, ErrorCode.MALFORMED)
    assert after in {before.verdict, None} or (is_rubbish and after is Verdict.FAIL)


@given(CASES, st.randoms(use_true_random=False))
def test_the_order_in_which_aws_answers_never_changes_evidence(case, random):
    judge, facts = case
    shuffled = facts
    for name in facts.__slots__:
        value = getattr(facts, name)
        if isinstance(value, dict):
            keys = list(value)
            random.shuffle(keys)
            shuffled = replace(
                shuffled, **{name: {key: in_any_order(value[key], random) for key in keys}}
            )
        else:
            shuffled = replace(shuffled, **{name: in_any_order(value, random)})
    assert judge(shuffled) == judge(facts)


def in_any_order(value, random):
    if isinstance(value, CredentialReport):
        return replace(value, users=in_any_order(value.users, random))
    if isinstance(value, tuple):
        return tuple(random.sample(value, len(value)))
    return value


@given(CASES, st.timedeltas(timedelta(seconds=1), timedelta(days=9)))
def test_time_passing_alone_never_changes_a_fingerprint(case, later):
    judge, facts = case
    reading = judge(facts)
    if reading.verdict is None:
        return
    assert fingerprint(judge(aged(facts, later))) == fingerprint(reading)


def aged(facts, later):
    """The same state, with a newer report, newer deliveries and findings seen again."""
    if isinstance(getattr(facts, "report", None), CredentialReport):
        newer = replace(facts.report, generated_at=facts.report.generated_at + later)
        return replace(facts, report=newer)
    if isinstance(facts, CloudTrailFacts):
        return replace(facts, trails=tuple(delivered(trail, later) for trail in facts.trails))
    if isinstance(facts, GuardDutyFindingsFacts):
        return replace(
            facts,
            regions={
                region: tuple(seen_again(item, later) for item in found)
                if isinstance(found, tuple)
                else found
                for region, found in facts.regions.items()
            },
        )
    return facts


def delivered(trail, later):
    if isinstance(trail.status, Unread) or trail.status.latest_delivery_at is None:
        return trail
    moment = trail.status.latest_delivery_at + later
    return replace(trail, status=replace(trail.status, latest_delivery_at=moment))


def seen_again(finding, later):
    if finding.last_seen_at is None:
        return finding
    return replace(finding, last_seen_at=finding.last_seen_at + later)
