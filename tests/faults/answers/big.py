"""Huge accounts read in a process of its own, which says how much memory each took.

Run as ``python -m tests.faults.answers.big users=COUNT findings=COUNT bodies=COUNT``.
"""

import base64
import json
import sys
from itertools import chain
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.faults.answers import documents
from tests.faults.answers.account import Account, whole
from tests.faults.answers.documents import EXPECTED
from tests.faults.answers.endpoint import Endpoint, line_to, open_session, read_request
from tests.faults.answers.wire import answer_of, tree_of
from tests.faults.guards import apply_to_process
from thirdsentry_pipeline.aws.answer_reader import read_answer
from thirdsentry_pipeline.aws.collect import collect_account
from thirdsentry_pipeline.domain.evidence import EvidenceType

ALL = tuple(EvidenceType)
GOOD = dict.fromkeys(EXPECTED, "good")


def with_users(count):
    """An account with so many console users, every second one without MFA."""
    made = Account(GOOD)
    flags = ("true", "false")
    rows = [documents.report_row(f"user-{n:06}", mfa=flags[n % 2]) for n in range(count)]
    key = ("iam.GetCredentialReport", None, None)
    content = base64.b64encode(documents.report(documents.ROOT_ROWS["good"], *rows)).decode()
    document = {**made.documents[key][0], "Content": content}
    made.spoil(key, 0, answer_of(key[0], tree_of(key[0], document)))
    return Endpoint(made.answer)


class Findings(Endpoint):
    """A region with so many findings, in pages and batches of 50."""

    def __init__(self, count):
        super().__init__(self._answer)
        self._account = Account(GOOD)
        self._count = count

    def exchange(self, sent, limits):
        self.served.clear()  # what was sent is not to be kept here
        self._sent = sent
        return super().exchange(sent, limits)

    def _answer(self, request):
        if request.region != "eu-west-1" or "Findings" not in request.action:
            return self._account.answer(request)
        if request.action == "guardduty.ListFindings":
            start = int(request.token or 0)
            end = min(start + 50, self._count)
            ids = [f"{n:032}" for n in range(start, end)]
            token = str(end) if end < self._count else ""
            return whole(request.action, {"FindingIds": ids, "NextToken": token})
        asked = json.loads(self._sent.body)["findingIds"]
        found = [documents.finding("eu-west-1", int(one)) for one in asked]
        return whole(request.action, {"Findings": found})


class Bodies(Endpoint):
    """Every answer is so many megabytes of nothing."""

    def __init__(self, megabytes):
        super().__init__()
        self._pieces = megabytes * 16

    def exchange(self, sent, limits):
        read_request(sent)
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (self._pieces * 65536)
        pieces = chain([head], (bytes(bytearray(65536)) for _ in range(self._pieces)))
        return read_answer(SimpleNamespace(recv=lambda _: next(pieces, b"")), limits)[0]


KINDS = {"users": with_users, "findings": Findings, "bodies": Bodies}


def megabytes(name):
    """``VmRSS``, what is held now, or ``VmHWM``, the most since ``forget_the_peak``."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


def forget_the_peak():
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def read(kind, count):
    """What is said of such an account, the figures of its payloads, and the memory it took."""
    endpoint = KINDS[kind](count)
    forget_the_peak()
    before = megabytes("VmRSS")
    with line_to(endpoint):
        readings = collect_account(open_session(), ALL).readings
    told = {"megabytes": round(megabytes("VmHWM") - before)}
    told["said"] = {
        name: {"verdict": reading.verdict, "error_code": reading.error_code}
        for name, reading in readings.items()
    }
    for reading in readings.values():
        for name in ("users_without_mfa_count", "critical_count", "high_count", "truncated"):
            if name in (reading.payload or {}):
                told[name] = reading.payload[name]
    return told


def main(*wanted):
    apply_to_process(pytest.MonkeyPatch())
    with line_to(Endpoint(Account(GOOD).answer)):
        collect_account(open_session(), ALL)
    for one in wanted:
        kind, count = one.split("=")
        print(json.dumps({"of": one, **read(kind, int(count))}))  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
