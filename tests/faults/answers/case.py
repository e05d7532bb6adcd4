"""One case: an account in some state, some of its answers spoilt, and what must hold after."""

import logging
import re
from contextlib import contextmanager
from unittest.mock import patch

from hypothesis import strategies as st

from tests.faults.answers import mutations
from tests.faults.answers.account import Account
from tests.faults.answers.documents import EXPECTED, REGIONS
from tests.faults.answers.endpoint import Endpoint, line_to, open_session
from tests.faults.answers.oracle import proven
from tests.faults.answers.payloads import check_payload
from tests.faults.answers.wire import error_answer
from thirdsentry_pipeline.aws.collect import collect_account
from thirdsentry_pipeline.aws.reading import Reads
from thirdsentry_pipeline.aws.sessions import PlatformAws
from thirdsentry_pipeline.domain.evidence import ErrorCode, EvidenceType

TYPE_OF = {
    "root": EvidenceType.ROOT_MFA,
    "users": EvidenceType.MFA_COVERAGE,
    "policy": EvidenceType.PASSWORD_POLICY,
    "trail": EvidenceType.CLOUDTRAIL_LOGGING,
    "block": EvidenceType.S3_PUBLIC_ACCESS_BLOCK,
    "detector": EvidenceType.GUARDDUTY_STATUS,
    "finding": EvidenceType.GUARDDUTY_FINDINGS,
}
_REPORT = ("iam.GenerateCredentialReport", "iam.GetCredentialReport")
_FALLBACK = ("iam.ListUsers", "iam.GetLoginProfile", "iam.ListMFADevices")
GROUPS = {
    "report": _REPORT,
    "summary": ("iam.GetAccountSummary", "iam.GetAccountSummary", "iam.ListVirtualMFADevices"),
    "policy": ("iam.GetAccountPasswordPolicy",),
    "block": ("s3-control.GetPublicAccessBlock",),
    "trail": (
        "cloudtrail.DescribeTrails",
        "cloudtrail.GetTrailStatus",
        "cloudtrail.GetEventSelectors",
    ),
    "detector": (
        "guardduty.ListDetectors",
        "guardduty.GetDetector",
        "guardduty.GetAdministratorAccount",
    ),
    "finding": ("guardduty.ListFindings", "guardduty.GetFindings"),
    "regions": ("ec2.DescribeRegions",),
}
RESTS_ON = {
    "root": {*_REPORT, *GROUPS["summary"]},
    "users": {*_REPORT, *_FALLBACK},
    "policy": set(GROUPS["policy"]),
    "block": set(GROUPS["block"]),
    "trail": {*GROUPS["trail"], "ec2.DescribeRegions"},
    "detector": {*GROUPS["detector"], "ec2.DescribeRegions"},
    "finding": {*GROUPS["finding"], "guardduty.ListDetectors", "ec2.DescribeRegions"},
}
ALL = tuple(EvidenceType)
_NUMBERS = st.integers(0, 2**32)
_STATES = {chain: st.sampled_from(["good", "good", *table]) for chain, table in EXPECTED.items()}
# Of seven draws, those that leave a group's answers whole; without regions little else is read.
_LEFT_ALONE = ({0}, {0, 1, 2, 3, 4, 5})
_BREAKS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# A session stops by itself after the account's deadline, so a long run opens a new one at times.
_CASES_PER_SESSION = 200


class InTurn(Reads):
    """Reads one after the other in this thread: what is tried here is answers, not threads."""

    def __init__(self, *, max_workers, **limits):
        super().__init__(max_workers=0, **limits)

    def finish(self):
        self._work()


class Logs(logging.Handler):
    """Remembers every line that would have been split or coloured by what AWS sent."""

    def __init__(self):
        super().__init__(logging.DEBUG)
        self.split = []

    def emit(self, record):
        message = record.getMessage()
        if _BREAKS.search(message):
            self.split.append((record.name, message))


class Laboratory:
    """The product's reader on a line to hostile answers."""

    def __init__(self):
        self.endpoint = Endpoint()
        self.logs = Logs()
        self.answers = 0
        self._platform = PlatformAws(region="us-east-1")
        self._session = None
        self._cases = 0
        self._requests = {}

    @contextmanager
    def open(self):
        root = logging.getLogger()
        level, handlers = root.level, root.handlers
        # Alone: whoever else keeps what is said at DEBUG keeps a gigabyte of it.
        root.handlers = [self.logs]
        root.setLevel(logging.DEBUG)
        try:
            with (
                line_to(self.endpoint),
                patch("thirdsentry_pipeline.aws.collect.Reads", InTurn),
            ):
                yield self
        finally:
            root.handlers = handlers
            root.setLevel(level)

    def collect(self, account, types=ALL, **more):
        """Read the account anew; what the endpoint sent stands in ``endpoint.served``."""
        if self._cases % _CASES_PER_SESSION == 0:
            self._session = open_session(self._platform)
        self._cases += 1
        self.endpoint.answer = account.answer
        self.endpoint.served = {}
        return collect_account(self._session, types, **{"sleep": lambda _: None, **more})


@st.composite
def cases(draw):
    """An account with some answers spoilt: (account, the chains that may be touched)."""
    state = {chain: draw(states) for chain, states in _STATES.items()}
    account = Account(state)
    touched = set()
    refused = draw(_NUMBERS) % 6 == 0
    if refused:
        action = _REPORT[draw(_NUMBERS) % 2]
        account.spoil((action, None, None), 0, error_answer(action, "AccessDenied", status=403))
        touched |= _chains_of(action)
    for group, actions in GROUPS.items():
        for region in REGIONS if group in {"detector", "finding"} else (None,):
            if draw(_NUMBERS) % 7 in _LEFT_ALONE[group == "regions"]:
                continue
            chosen = _FALLBACK if group == "report" and refused else actions
            there = [action for action in chosen if action in account.actions]
            action = there[draw(_NUMBERS) % len(there)]
            key, page, document = _target(account, action, region, draw)
            answer, is_benign = mutations.spoil(action, document, draw)
            account.spoil(key, page, answer)
            if not is_benign:
                touched |= _chains_of(action)
    return account, touched


def _chains_of(action):
    return {chain for chain, actions in RESTS_ON.items() if action in actions}


def _target(account, action, region, draw):
    keys = [key for key in account.documents if key[0] == action and region in {None, key[1]}]
    key = keys[draw(_NUMBERS) % len(keys)]
    pages = account.documents[key]
    page = draw(_NUMBERS) % len(pages)
    if action == "cloudtrail.DescribeTrails" and draw(_NUMBERS) % 2:
        return (action, REGIONS[draw(_NUMBERS) % 2], None), page, pages[page]
    return key, page, pages[page]


def check(laboratory, account, touched):
    """Collect the account and hold what was said against what was sent."""
    laboratory.logs.split.clear()
    collected = laboratory.collect(account)
    served = laboratory.endpoint.served
    laboratory.answers += sum(any(one is a for a in account.spoilt) for one in served.values())
    verdicts, generated_at = proven(served)
    assert set(collected.readings) == set(ALL)
    for chain, kind in TYPE_OF.items():
        reading = collected.readings[kind]
        said = reading.verdict and reading.verdict.value
        assert said in {None, verdicts[chain]}, f"{kind}: said {said}, proven {verdicts[chain]}"
        if chain not in touched:
            assert said == expected(account.state, chain), f"{kind}: {said}, untouched"
        if reading.error_code is ErrorCode.BUG:
            actions = RESTS_ON[chain]
            assert any(a.status >= 300 for key, a in served.items() if key[0] in actions), kind
        if reading.source_generated_at is not None:
            assert reading.source_generated_at == generated_at
        if reading.payload is not None:
            check_payload(kind, reading.payload)
    assert laboratory.logs.split == []
    return collected


def expected(state, chain):
    if chain == "finding" and state["detector"] == "absent":
        return "pass"
    return EXPECTED[chain][state[chain]]
