"""Read an account: all asked-for evidence types at once, each with an outcome of its own."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from thirdsentry_pipeline.aws.cloudtrail import CloudTrailReads
from thirdsentry_pipeline.aws.credential_report import Wait
from thirdsentry_pipeline.aws.errors import RegionDisabled
from thirdsentry_pipeline.aws.guardduty import GuardDutyReads
from thirdsentry_pipeline.aws.iam import GET_PASSWORD_POLICY, MfaReads, read_password_policy
from thirdsentry_pipeline.aws.reading import Reads, describe, settled
from thirdsentry_pipeline.aws.regions import DESCRIBE_REGIONS, read_region_scope
from thirdsentry_pipeline.aws.s3 import GET_PUBLIC_ACCESS_BLOCK, read_public_access_block
from thirdsentry_pipeline.domain.evidence import ErrorCode, EvidenceType, Reading, ReadStatus
from thirdsentry_pipeline.domain.facts import (
    PasswordPolicyFacts,
    PublicAccessBlockFacts,
    RegionScope,
    Unread,
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
from thirdsentry_pipeline.domain.time import utc_now

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from thirdsentry_pipeline.aws.account_session import AccountSession
    from thirdsentry_pipeline.aws.credential_report import Table
    from thirdsentry_pipeline.aws.reading import Answer
    from thirdsentry_pipeline.domain.time import Clock

DEADLINE_SECONDS = 240.0
_log = logging.getLogger(__name__)

_ROOT = EvidenceType.ROOT_MFA
_COVERAGE = EvidenceType.MFA_COVERAGE
_POLICY = EvidenceType.PASSWORD_POLICY
_TRAILS = EvidenceType.CLOUDTRAIL_LOGGING
_BLOCK = EvidenceType.S3_PUBLIC_ACCESS_BLOCK
_STATUS = EvidenceType.GUARDDUTY_STATUS
_FINDINGS = EvidenceType.GUARDDUTY_FINDINGS
_REGIONAL = frozenset({_TRAILS, _STATUS, _FINDINGS})


@dataclass(frozen=True, slots=True)
class CollectedAccount:
    """One reading per type that was asked for; ``report`` gives the credential report, if read."""

    readings: Mapping[EvidenceType, Reading]
    api_calls: int
    throttles: int
    seconds: float
    report: Table | None = None


def collect_account(
    session: AccountSession,
    types: Sequence[EvidenceType],
    *,
    waived_regions: Collection[str] = (),
    clock: Clock = utc_now,
    sleep: Callable[[float], None] = time.sleep,
    max_workers: int = 16,
    deadline_seconds: float = DEADLINE_SECONDS,
) -> CollectedAccount:
    """Read and judge the types; what fails becomes a reading that says so, never an exception.

    What has no answer after ``deadline_seconds`` is unread. ``clock``
    and ``sleep`` bound and pace the polls of the credential report.
    """
    started = time.monotonic()
    session.stop_after(deadline_seconds)
    wait = Wait(clock, sleep)
    reads = Reads(max_workers=max_workers, deadline_seconds=deadline_seconds)
    judges, mfa = _start(session, reads, frozenset(types), frozenset(waived_regions), wait)
    reads.finish()
    readings = {kind: _judge(kind, judges[kind]) for kind in dict.fromkeys(types)}
    return CollectedAccount(
        readings=readings,
        api_calls=session.calls.api_calls,
        throttles=session.calls.throttles,
        seconds=time.monotonic() - started,
        report=mfa.table if mfa is not None else None,
    )


def _start(
    session: AccountSession,
    reads: Reads,
    types: frozenset[EvidenceType],
    waived: frozenset[str],
    wait: Wait,
) -> tuple[dict[EvidenceType, Callable[[], Reading]], MfaReads | None]:
    """Start every read the types need; give the judge of each type, to be called at the end."""
    judges: dict[EvidenceType, Callable[[], Reading]] = {}
    if types & _REGIONAL:
        judges |= _start_regional(session, reads, types, waived)
    mfa = None
    if types & {_ROOT, _COVERAGE}:
        mfa = MfaReads(session, reads, root=_ROOT in types, coverage=_COVERAGE in types, wait=wait)
        judges[_ROOT] = lambda: judge_root_mfa(mfa.root_facts())
        judges[_COVERAGE] = lambda: judge_mfa_coverage(mfa.coverage_facts())
    if _POLICY in types:
        policy = reads.start(GET_PASSWORD_POLICY, partial(read_password_policy, session))
        judges[_POLICY] = lambda: judge_password_policy(
            PasswordPolicyFacts(settled(policy.answer, GET_PASSWORD_POLICY))
        )
    if _BLOCK in types:
        block = reads.start(GET_PUBLIC_ACCESS_BLOCK, partial(read_public_access_block, session))
        judges[_BLOCK] = lambda: judge_public_access_block(
            PublicAccessBlockFacts(settled(block.answer, GET_PUBLIC_ACCESS_BLOCK))
        )
    return judges, mfa


def _start_regional(
    session: AccountSession,
    reads: Reads,
    types: frozenset[EvidenceType],
    waived: frozenset[str],
) -> dict[EvidenceType, Callable[[], Reading]]:
    trails = CloudTrailReads(session, reads)
    guardduty = GuardDutyReads(session, reads, status=_STATUS in types, findings=_FINDINGS in types)

    def follow(scope: Answer[RegionScope]) -> None:
        if isinstance(scope, (Unread, RegionDisabled)):
            return
        if _TRAILS in types:
            trails.start(scope.in_scope)
        if types & {_STATUS, _FINDINGS}:
            guardduty.start(scope.in_scope)

    asked = reads.start(DESCRIBE_REGIONS, partial(read_region_scope, session, waived), follow)

    def scope() -> RegionScope | Unread:
        return settled(asked.answer, DESCRIBE_REGIONS)

    return {
        _TRAILS: lambda: judge_cloudtrail(trails.facts(scope())),
        _STATUS: lambda: judge_guardduty_status(guardduty.status_facts(scope())),
        _FINDINGS: lambda: judge_guardduty_findings(guardduty.findings_facts(scope())),
    }


def _judge(kind: EvidenceType, judge: Callable[[], Reading]) -> Reading:
    try:
        return judge()
    except Exception as error:  # noqa: BLE001 - one type must not cost the others their result
        _log.error("%s could not be judged: %s", kind, describe(error))
        return Reading(kind, ReadStatus.ERROR, error_code=ErrorCode.BUG)
