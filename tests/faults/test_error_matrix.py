"""Fault 21: every operation, in every region, failing in every way: exactly its part is unread."""

import re
from dataclasses import replace

import pytest

from tests.faults.answers.account import Account
from tests.faults.answers.case import TYPE_OF, Laboratory
from tests.faults.answers.documents import EXPECTED
from tests.faults.answers.failures import IN_REGIONS, Left, consequences, failures, lost, without
from tests.faults.answers.wire import error_answer, regions_of_partition
from thirdsentry_pipeline.domain.evidence import EvidenceType

GOOD = dict.fromkeys(EXPECTED, "good")
# Findings that don't count, so that GetFindings is asked and the account passes all the same.
HEALTHY = {**GOOD, "finding": "members", "elsewhere": {"finding": "members"}}
FAILING = {**GOOD, "trail": "stopped", "detector": "suspended", "finding": "one_high"}
GLOBAL = (
    "iam.GenerateCredentialReport",
    "iam.GetCredentialReport",
    "iam.GetAccountSummary",
    "iam.ListVirtualMFADevices",
    "iam.GetAccountPasswordPolicy",
    "s3-control.GetPublicAccessBlock",
    "ec2.DescribeRegions",
    "cloudtrail.GetTrailStatus",
    "cloudtrail.GetEventSelectors",
)
REGIONAL = ("cloudtrail.DescribeTrails", *IN_REGIONS)
FALLBACK = ("iam.ListUsers", "iam.GetLoginProfile", "iam.ListMFADevices")
WORSE_THAN_DENIED = {"bug", "malformed", "denied_by_scp"}
QUICK = ("ap-south-1", "eu-west-1", "us-east-1")


@pytest.fixture(scope="module")
def laboratory():
    with Laboratory().open() as laboratory:
        yield laboratory


@pytest.fixture(scope="module")
def regions(pytestconfig):
    """Three regions hold all there is to tell apart; the long part asks the 17 of most accounts."""
    if not pytestconfig.getoption("--long"):
        return QUICK
    return tuple(sorted({*regions_of_partition()[:14], *QUICK}))


class Struck:
    """An account, and what is read of it when nothing fails."""

    def __init__(self, laboratory, state, regions, spoilt=()):
        self.laboratory = laboratory
        self.account = Account({**state, "regions": regions})
        for key, answer in spoilt:
            self.account.spoil(key, 0, answer)
        self.twin = laboratory.collect(self.account).readings
        self.count = 0

    @property
    def verdicts(self):
        return {reading.verdict for reading in self.twin.values()}

    def by(self, action, region, failure, expected):
        """Fail one operation and hold every chain against what must be left of it."""
        outcome, answer = failure
        self.count += 1
        self.account.spoil((action, region, None), 0, answer)
        try:
            types = self._types(action, expected)
            readings = self.laboratory.collect(self.account, types).readings
        finally:
            self.account.mend((action, region, None), 0)
        served = self.laboratory.endpoint.served.values()
        assert any(one is answer for one in served), f"{action} was not asked in {region}"
        for chain, kind in TYPE_OF.items():
            if kind not in readings:
                continue
            where = f"{action} in {region}: {outcome} ({answer}): {chain}"
            if chain in expected:
                self._hold(readings[kind], expected[chain], where)
            else:
                assert readings[kind] == self.twin[kind], where

    def _types(self, action, expected):
        """Those that it touches, all others of its service, and in turn one that is none of its."""
        service = re.split(r"\W", action)[0]
        touched = {TYPE_OF[chain] for chain in expected}
        near = [kind for kind in EvidenceType if kind in touched or f".{service}." in kind]
        far = [kind for kind in EvidenceType if kind not in near]
        return (*near, far[self.count % len(far)])

    def _hold(self, said, left, where):
        found = Left(said.read_status, said.verdict, said.error_code, said.regions_unread)
        assert found == replace(left, out_of=()), where
        if left.out_of:
            whole = self.twin[said.evidence_type].payload["regions_in_scope"]
            in_scope = set(whole) - set(left.out_of)
            assert set(said.payload["regions_in_scope"]) == in_scope, where


@pytest.mark.fault(21)
@pytest.mark.parametrize("action", GLOBAL)
def test_a_failing_operation_costs_exactly_what_rests_on_it(laboratory, action, record_property):
    account = Struck(laboratory, HEALTHY, QUICK)
    assert account.verdicts == {"pass"}
    for failure in failures(action):
        account.by(action, None, failure, consequences(action, None, failure[0]))
    record_property("answers", account.count)


@pytest.mark.fault(21)
@pytest.mark.parametrize("action", REGIONAL)
def test_a_failing_region_costs_exactly_itself(laboratory, regions, action, record_property):
    account = Struck(laboratory, HEALTHY, regions)
    for region in regions:
        for failure in failures(action):
            account.by(action, region, failure, consequences(action, region, failure[0]))
    record_property("answers", account.count)


@pytest.mark.fault(21)
@pytest.mark.parametrize("action", [name for name in IN_REGIONS if name != "guardduty.GetFindings"])
def test_a_proven_fail_beats_regions_that_were_not_read(laboratory, regions, action):
    # Where it fails is the first region; the others are good, so without it, they pass.
    account = Struck(laboratory, FAILING, regions[:2] if regions == QUICK else regions)
    for region in account.account.state["regions"]:
        is_first = region == regions[0]
        for failure in failures(action):
            outcome = failure[0]
            proven = Left("ok", "fail", outcome, (region,))
            otherwise = lost(outcome, region) if is_first else proven
            left = without(outcome, region, "pass" if is_first else "fail", otherwise)
            account.by(action, region, failure, dict.fromkeys(IN_REGIONS[action], left))


@pytest.mark.fault(21)
def test_without_a_proven_trail_one_region_that_was_not_read_leaves_it_open(laboratory, regions):
    account = Struck(laboratory, FAILING, regions)
    action = "cloudtrail.DescribeTrails"
    for region in regions:
        for failure in failures(action):
            left = without(failure[0], region, "fail", lost(failure[0], region))
            account.by(action, region, failure, {"trail": left})


@pytest.mark.fault(21)
@pytest.mark.parametrize("action", FALLBACK)
def test_a_fallback_that_fails_leaves_the_users_unread(laboratory, action):
    refused = error_answer("iam.GenerateCredentialReport", "AccessDenied", status=403)
    spoilt = [(("iam.GenerateCredentialReport", None, None), refused)]
    account = Struck(laboratory, HEALTHY, QUICK, spoilt)
    assert account.verdicts == {"pass"}
    for failure in failures(action):
        said = lost(failure[0])
        # The report was denied: what passes by itself does not speak for both.
        error = said.error if said.error in WORSE_THAN_DENIED else "denied"
        account.by(action, None, failure, {"users": replace(said, error=error)})
