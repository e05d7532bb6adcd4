"""The report as a person reads it: a snapshot, put in order and in words. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from thirdsentry_pipeline.report.history import Plot, plot
from thirdsentry_pipeline.report.reasons import (
    control_reasons,
    evidence_next_step,
    evidence_reason,
)
from thirdsentry_pipeline.report.summary import (
    Headline,
    Notice,
    headlines,
    notices,
    summary,
)
from thirdsentry_pipeline.report.words import CONTROL_ORDER, EVIDENCE_ORDER, counted, length_of

if TYPE_CHECKING:
    from datetime import datetime

    from thirdsentry_pipeline.report.snapshot import Control, Evidence, Framework, Snapshot


@dataclass(frozen=True, slots=True)
class Segment:
    """A status's part of a framework's bar; place and width in percent of the bar."""

    status: str
    count: int
    start: Decimal
    width: Decimal


@dataclass(frozen=True, slots=True)
class ControlView:
    """A control with its reasons; ``age`` is that of its oldest evidence."""

    control: Control
    reasons: tuple[str, ...]
    age: str | None


@dataclass(frozen=True, slots=True)
class FrameworkView:
    """A framework, its bar and its controls, worst first."""

    framework: Framework
    segments: tuple[Segment, ...]
    controls: tuple[ControlView, ...]


@dataclass(frozen=True, slots=True)
class Attention:
    """A piece of evidence that does not pass, and the controls it holds back."""

    evidence: Evidence
    reason: str
    next_step: str
    age: str | None
    controls: tuple[tuple[str, tuple[str, ...]], ...]
    controls_count: int


@dataclass(frozen=True, slots=True)
class Listing:
    """What a list of things to worry about may claim.

    ``total`` counts what the newest good reads saw, ``shown`` what is listed; ``unsure`` are the
    accounts about which the list proves nothing today, because their evidence is not fresh.
    """

    total: int
    shown: int
    unsure: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """Everything the page shows."""

    snapshot: Snapshot
    notices: tuple[Notice, ...]
    summary: str
    headlines: tuple[Headline, ...]
    attention: tuple[Attention, ...]
    frameworks: tuple[FrameworkView, ...]
    history: Plot | None
    mfa: Listing
    findings: Listing
    recomputed: int
    proven: int
    limits: tuple[str, ...]

    @property
    def generated_at(self) -> datetime:
        """The moment (UTC) at which all of it holds."""
        return self.snapshot.taken_at

    def age(self, moment: datetime | None) -> str | None:
        """How long before the report a moment was."""
        return None if moment is None else length_of(self.generated_at - moment)


def build_report(snapshot: Snapshot) -> Report:
    """Put the snapshot in order: failing and stale first, every status with its reason."""
    proven = [one for one in snapshot.evidence if one.evidence_id is not None]
    return Report(
        snapshot=snapshot,
        notices=notices(snapshot),
        summary=summary(snapshot),
        headlines=headlines(snapshot),
        attention=_attention(snapshot),
        frameworks=_frameworks(snapshot),
        history=plot(snapshot.history),
        mfa=_mfa(snapshot),
        findings=_findings(snapshot),
        recomputed=sum(bool(one.is_recomputed) for one in proven),
        proven=len(proven),
        limits=_limits(snapshot),
    )


def _attention(snapshot: Snapshot) -> tuple[Attention, ...]:
    connections = {one.connection_id: one for one in snapshot.connections}
    names = {one.framework: one.framework_name for one in snapshot.frameworks}
    lacking = [
        one for one in snapshot.evidence if one.evidence_status not in {"pass", "not_applicable"}
    ]
    lacking.sort(
        key=lambda one: (
            EVIDENCE_ORDER.index(one.evidence_status),
            one.account_id,
            one.evidence_type,
        )
    )
    held_back: dict[str, dict[str, list[str]]] = {}
    for control in snapshot.controls:
        for kind in control.evidence_types:
            by_name = held_back.setdefault(kind, {})
            by_name.setdefault(names[control.framework], []).append(control.control_id)
    views = []
    for one in lacking:
        connection = connections.get(one.connection_id)
        controls = held_back.get(one.evidence_type, {})
        views.append(
            Attention(
                evidence=one,
                reason=evidence_reason(one, connection, snapshot.taken_at),
                next_step=evidence_next_step(one, connection),
                age=None
                if one.last_ok_at is None
                else length_of(snapshot.taken_at - one.last_ok_at),
                controls=tuple((name, tuple(ids)) for name, ids in controls.items()),
                controls_count=sum(len(ids) for ids in controls.values()),
            )
        )
    return tuple(views)


def _frameworks(snapshot: Snapshot) -> tuple[FrameworkView, ...]:
    connections = {one.connection_id: one for one in snapshot.connections}
    evidence: dict[str, list[Evidence]] = {}
    for one in snapshot.evidence:
        evidence.setdefault(one.evidence_type, []).append(one)
    views = []
    for framework in snapshot.frameworks:
        # A stable sort: controls of one status stay in the order of their numbers.
        controls = sorted(
            (one for one in snapshot.controls if one.framework == framework.framework),
            key=lambda one: CONTROL_ORDER.index(one.control_status),
        )
        views.append(
            FrameworkView(
                framework=framework,
                segments=segments([one.control_status for one in controls]),
                controls=tuple(
                    ControlView(
                        control=one,
                        reasons=control_reasons(one, evidence, connections, snapshot.taken_at),
                        age=None
                        if one.oldest_evidence_at is None
                        else length_of(snapshot.taken_at - one.oldest_evidence_at),
                    )
                    for one in controls
                ),
            )
        )
    return tuple(views)


def _limits(snapshot: Snapshot) -> tuple[str, ...]:
    """How old evidence may be before it is stale; more than one where a connection has its own."""
    known = {one.stale_at - one.last_ok_at for one in snapshot.evidence if one.last_ok_at}
    return tuple(counted(limit // timedelta(hours=1), "hour") for limit in sorted(known))


def segments(statuses: list[str]) -> tuple[Segment, ...]:
    """The bar's parts, best first so that what passes reads from the left."""
    counts = Counter(statuses)
    parts, start = [], 0
    for status in reversed(CONTROL_ORDER):
        if counts[status]:
            parts.append(
                Segment(
                    status=status,
                    count=counts[status],
                    start=_percent(start, len(statuses)),
                    width=_percent(counts[status], len(statuses)),
                )
            )
            start += counts[status]
    return tuple(parts)


def _percent(part: int, whole: int) -> Decimal:
    return (Decimal(100 * part) / whole).quantize(Decimal("0.001"))


def _mfa(snapshot: Snapshot) -> Listing:
    total = sum(
        (one.users_with_password or 0) - (one.users_with_mfa or 0) for one in snapshot.mfa_accounts
    )
    return Listing(
        total=total,
        shown=len(snapshot.mfa_gaps),
        unsure=_not_fresh(snapshot, "aws.iam.mfa_coverage"),
    )


def _findings(snapshot: Snapshot) -> Listing:
    kind = "aws.guardduty.high_severity_findings"
    total = sum(
        int((one.payload or {}).get("high_count", 0))
        + int((one.payload or {}).get("critical_count", 0))
        for one in snapshot.evidence
        if one.evidence_type == kind
    )
    shown = len(snapshot.findings)
    return Listing(total=max(total, shown), shown=shown, unsure=_not_fresh(snapshot, kind))


def _not_fresh(snapshot: Snapshot, evidence_type: str) -> tuple[str, ...]:
    return tuple(
        one.account_id
        for one in snapshot.evidence
        if one.evidence_type == evidence_type and not one.is_fresh
    )
