"""Fault 26: huge accounts are read in bounded memory, or are unread; never cut in silence."""

import json
import subprocess
import sys

import pytest

from tests.faults.figures import REPOSITORY

pytestmark = pytest.mark.minutes

# Megabytes above what an idle worker holds.
MOST = 400
COVERAGE = "aws.iam.mfa_coverage"
FINDINGS = "aws.guardduty.high_severity_findings"


ONE_USER_TOO_MANY, BODIES = "users=50001", "bodies=200"
ONE_FINDING_TOO_MANY = "findings=100001"


def ask(*wanted):
    """What a process of its own says of each account, and the memory each took."""
    command = [sys.executable, "-m", "tests.faults.answers.big", *wanted]
    finished = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    said = [json.loads(line) for line in finished.stdout.splitlines()]
    return {one["of"]: one for one in said}


@pytest.fixture(scope="module")
def told_of_all(pytestconfig):
    """Of every account, asked once for all tests."""
    is_long = pytestconfig.getoption("--long")
    users, findings = (50_000, 100_000) if is_long else (5_000, 1_000)
    wanted = [f"users={users}", f"findings={findings}", BODIES, ONE_USER_TOO_MANY]
    return ask(*wanted, *([ONE_FINDING_TOO_MANY] if is_long else []))


@pytest.fixture
def told(request, removed_guard):
    """What is said; without a guard, by a process without it, of the accounts it is for."""
    if removed_guard == "the cap on findings":
        return ask(ONE_FINDING_TOO_MANY)
    if removed_guard is not None:
        return ask(BODIES, ONE_USER_TOO_MANY)
    return request.getfixturevalue("told_of_all")


@pytest.mark.fault(26)
def test_memory_is_bounded_whatever_comes(told):
    assert {name: one["megabytes"] for name, one in told.items() if one["megabytes"] > MOST} == {}


@pytest.mark.fault(26)
def test_every_user_and_every_finding_is_counted(told):
    users, findings = list(told)[:2]
    assert told[users]["said"][COVERAGE] == {"verdict": "fail", "error_code": None}
    assert told[users]["users_without_mfa_count"] == int(users.removeprefix("users=")) // 2
    count = int(findings.removeprefix("findings="))
    assert told[findings]["said"][FINDINGS] == {"verdict": "fail", "error_code": None}
    assert told[findings]["high_count"] == count
    assert told[findings]["truncated"] is (count > 10_000)


@pytest.mark.fault(26)
def test_one_more_than_the_most_is_unread_and_not_cut(told):
    for one, kind in ((ONE_USER_TOO_MANY, COVERAGE), (ONE_FINDING_TOO_MANY, FINDINGS)):
        if one in told:
            said = told[one]["said"]
            assert said.pop(kind) == {"verdict": None, "error_code": "malformed"}
            assert {other["verdict"] for other in said.values()} == {"pass"}


@pytest.mark.fault(26)
def test_bodies_of_200_megabytes_are_given_up_early(told):
    codes = {one["error_code"] for one in told[BODIES]["said"].values()}
    assert codes == {"malformed"}
