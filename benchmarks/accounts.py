"""One account and a hundred: calls, wall time and CPU, beside plain sequential boto3."""

from __future__ import annotations

import gc
import statistics
import time
from typing import TYPE_CHECKING

from benchmarks.lab import Lab, account_id, organization_id
from benchmarks.plain_reads import read_account
from benchmarks.rows import Row, seconds_of
from thirdsentry_pipeline.domain.evidence import EvidenceType
from thirdsentry_pipeline.domain.time import utc_now
from thirdsentry_pipeline.operations.sync import sync_organization
from thirdsentry_pipeline.operations.sync_batch import sync_organizations
from thirdsentry_pipeline.operations.sync_results import SyncStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thirdsentry_pipeline.operations.sync_results import OrganizationSync

TYPES = tuple(EvidenceType)
LATENCY_MS = 50.0
MOST_CALLS = 50
ACCOUNT_SECONDS = 0.9
TIMES_FASTER = 12.0
HUNDRED_SECONDS = 8.0
CPU_SECONDS = 0.12
_FIRST_OF_HUNDRED = 1_000


def sync(lab: Lab, organization: str) -> int:
    """Collect an organization, from assume-role to committed rows; the calls it took.

    Raises:
        RuntimeError: not everything was read.
    """
    done = sync_organization(lab.services, organization, utc_now().date(), TYPES, "benchmark")
    check(organization, done)
    return sum(one.api_calls for one in done.connections)


def calls_by_users(lab: Lab) -> list[Row]:
    """AWS calls per account for 100, 1,000 and 10,000 users."""
    lab.connect(organization_id(1), [account_id(1)])
    calls: list[int] = []
    for users in (100, 1_000, 10_000):
        lab.stub.configure(users=users, latency_ms=0)
        calls.append(sync(lab, organization_id(1)))
    lab.stub.configure(users=100)
    shown = " / ".join(str(one) for one in calls)
    everywhere: list[int] = []
    for findings in (0, 2):
        lab.stub.configure(detectors=17, findings=findings)
        everywhere.append(sync(lab, organization_id(1)))
    lab.stub.configure(detectors=1, findings=2)
    return [
        Row(
            "AWS calls per account, 17 regions, 1 detector, 100 / 1,000 / 10,000 users",
            shown,
            f"≤ {MOST_CALLS}, the same for all",
            max(calls) <= MOST_CALLS and len(set(calls)) == 1,
        ),
        Row(
            (
                "the same with a detector in each of the 17 regions, 0 / 2 findings in each: its "
                "state, administrator and findings are asked for one by one"
            ),
            " / ".join(str(one) for one in everywhere),
        ),
    ]


def one_account(lab: Lab, repetitions: int) -> list[Row]:
    """Assume-role to committed rows, in turns with plain boto3."""
    lab.stub.configure(latency_ms=LATENCY_MS, users=100)
    lab.connect(organization_id(2), [account_id(2)])
    sync(lab, organization_id(2))
    ours, report, by_user = [], [], []
    for _ in range(repetitions):
        ours.append(seconds_of(lambda: sync(lab, organization_id(2))))
        report.append(seconds_of(lambda: read_account(account_id(2), credential_report=True)))
        ours.append(seconds_of(lambda: sync(lab, organization_id(2))))
        by_user.append(seconds_of(lambda: read_account(account_id(2), credential_report=False)))
    own = statistics.median(ours)
    plain, same = statistics.median(by_user), statistics.median(report)
    return [
        Row(
            "one account, assume-role to committed rows, 50 ms a call",
            f"{own:.2f} s",
            f"≤ {ACCOUNT_SECONDS} s",
            own <= ACCOUNT_SECONDS,
        ),
        Row(
            "beside plain sequential boto3 (MFA user by user, nothing stored)",
            f"{plain:.1f} s: {plain / own:.1f} times",
            f"≥ {TIMES_FASTER:.0f} times",
            plain / own >= TIMES_FASTER,
        ),
        Row(
            "beside sequential boto3 making our very calls (credential report, nothing stored)",
            f"{same:.1f} s: {same / own:.1f} times",
        ),
    ]


def hundred_accounts(lab: Lab, repetitions: int) -> list[Row]:
    """A hundred accounts of a hundred organizations in this one process."""
    lab.stub.configure(latency_ms=LATENCY_MS)
    organizations = [organization_id(_FIRST_OF_HUNDRED + number) for number in range(100)]
    for number, organization in enumerate(organizations):
        lab.connect(organization, [account_id(_FIRST_OF_HUNDRED + number)])
    sync_all(lab, organizations)
    # As the server does that runs are forked from: what lives for ever is not looked at again.
    gc.collect()
    gc.freeze()
    walls, processors = [], []
    for _ in range(repetitions):
        cpu = time.process_time()
        walls.append(seconds_of(lambda: sync_all(lab, organizations)))
        processors.append((time.process_time() - cpu) / len(organizations))
    wall, processor = statistics.median(walls), statistics.median(processors)
    return [
        Row(
            "100 accounts in one process, credentials bound per client",
            f"{wall:.1f} s",
            f"≤ {HUNDRED_SECONDS:.0f} s",
            wall <= HUNDRED_SECONDS,
        ),
        Row(
            "CPU per account in it (database driver and verdicts included)",
            f"{processor:.3f} s",
            f"≤ {CPU_SECONDS} s",
            processor <= CPU_SECONDS,
        ),
    ]


def sync_all(lab: Lab, organizations: Sequence[str]) -> None:
    """What a batched run does with its organizations.

    Raises:
        RuntimeError: not everything was read.
    """
    today = utc_now().date()
    partitions = [(today, one) for one in organizations]
    for _, organization, done in sync_organizations(lab.services, partitions, TYPES, "benchmark"):
        check(organization, done)


def check(organization: str, done: OrganizationSync) -> None:
    if done.status is not SyncStatus.SUCCEEDED:
        message = f"the benchmark's sync of {organization} ended as {done.status}"
        raise RuntimeError(message)
