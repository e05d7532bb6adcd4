"""Verdicts on GuardDuty: is it on in every region, and what does it report."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from thirdsentry_pipeline.domain.evidence import ErrorCode, EvidenceType, Reading, Verdict
from thirdsentry_pipeline.domain.facts import (
    Detector,
    Fact,
    Finding,
    GuardDutyFindingsFacts,
    GuardDutyStatusFacts,
    Unread,
)
from thirdsentry_pipeline.domain.rules.outcome import RegionReads, proven, unproven
from thirdsentry_pipeline.domain.time import iso_z

if TYPE_CHECKING:
    from collections.abc import Iterable

HIGH_SEVERITY = 7.0
CRITICAL_SEVERITY = 9.0
FINDINGS_KEPT = 10_000

_NEVER = datetime.min.replace(tzinfo=UTC)


def judge_guardduty_status(facts: GuardDutyStatusFacts) -> Reading:
    """Judge whether GuardDuty is on in every in-scope region; one that is off proves ``fail``."""
    if isinstance(facts.scope, Unread):
        return unproven(EvidenceType.GUARDDUTY_STATUS, [facts.scope])
    reads = RegionReads[Detector | None].of(facts.scope, facts.regions)
    records = [_region_record(region, detector) for region, detector in reads.answered.items()]
    failed = any(record["state"] != "enabled" for record in records)
    if not failed and not reads.is_complete:
        return reads.unproven(EvidenceType.GUARDDUTY_STATUS)
    return proven(
        EvidenceType.GUARDDUTY_STATUS,
        Verdict.FAIL if failed else Verdict.PASS,
        {"regions": records, **reads.payload()},
        unread=reads.unread.values(),
        regions_unread=reads.unread,
    )


def _region_record(region: str, detector: Detector | None) -> dict[str, Any]:
    if detector is None:
        return {"region": region, "state": "absent", "administrator_account_id": None}
    return {
        "region": region,
        "state": "enabled" if detector.enabled else "suspended",
        "administrator_account_id": detector.administrator_account_id,
    }


def judge_guardduty_findings(facts: GuardDutyFindingsFacts) -> Reading:
    """Judge whether the account has open findings of severity 7 and up; one proves ``fail``.

    Only the connection's own account counts (an administrator account lists its members'),
    and no samples. A region whose findings have no usable severity counts as unread: dropping
    such a finding could turn it into a pass.
    """
    if isinstance(facts.scope, Unread):
        return unproven(EvidenceType.GUARDDUTY_FINDINGS, [facts.scope])
    counted = {region: _counted(fact, facts.account_id) for region, fact in facts.regions.items()}
    reads = RegionReads[tuple[Finding, ...] | None].of(facts.scope, counted)
    without_detector = [region for region, found in reads.answered.items() if found is None]
    findings = _distinct(finding for found in reads.answered.values() for finding in found or ())

    if not findings and not reads.is_complete:
        return reads.unproven(EvidenceType.GUARDDUTY_FINDINGS)
    if findings:
        verdict = Verdict.FAIL
    elif len(without_detector) == len(reads.answered):
        verdict = Verdict.NOT_APPLICABLE
    else:
        verdict = Verdict.PASS
    return proven(
        EvidenceType.GUARDDUTY_FINDINGS,
        verdict,
        {
            **_findings_payload(findings),
            "regions_without_detector": without_detector,
            **reads.payload(),
        },
        unread=reads.unread.values(),
        regions_unread=reads.unread,
    )


def _counted(
    fact: Fact[tuple[Finding, ...] | None], account_id: str
) -> Fact[tuple[Finding, ...] | None]:
    if fact is None or isinstance(fact, Unread):
        return fact
    own = [
        finding for finding in fact if finding.account_id == account_id and not finding.is_sample
    ]
    if not all(math.isfinite(finding.severity) for finding in own):
        return Unread(ErrorCode.MALFORMED, "guardduty:GetFindings")
    return tuple(finding for finding in own if finding.severity >= HIGH_SEVERITY)


def _distinct(findings: Iterable[Finding]) -> list[Finding]:
    """Each finding once (pages may overlap while findings move), the most severe first."""
    newest_last = sorted(
        findings,
        key=lambda finding: (
            finding.severity,
            finding.last_seen_at or _NEVER,
            finding.first_seen_at or _NEVER,
            finding.finding_type,
        ),
    )
    by_id = {(finding.region, finding.finding_id): finding for finding in newest_last}
    return sorted(
        by_id.values(),
        key=lambda finding: (-finding.severity, finding.region, finding.finding_id),
    )


def _findings_payload(findings: list[Finding]) -> dict[str, Any]:
    """Counts are of all findings; the list keeps the most severe ones up to the limit."""
    critical = sum(finding.severity >= CRITICAL_SEVERITY for finding in findings)
    first_seen = [finding.first_seen_at for finding in findings if finding.first_seen_at]
    return {
        "high_count": len(findings) - critical,
        "critical_count": critical,
        "oldest_first_seen_at": iso_z(min(first_seen)) if first_seen else None,
        "findings": [
            {
                "region": finding.region,
                "finding_id": finding.finding_id,
                "finding_type": finding.finding_type,
                "severity": finding.severity,
                "first_seen_at": iso_z(finding.first_seen_at) if finding.first_seen_at else None,
                "last_seen_at": iso_z(finding.last_seen_at) if finding.last_seen_at else None,
            }
            for finding in findings[:FINDINGS_KEPT]
        ],
        "truncated": len(findings) > FINDINGS_KEPT,
    }
