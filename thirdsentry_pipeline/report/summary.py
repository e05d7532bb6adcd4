"""What the report says first: notices, one sentence, and the numbers with their meaning. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from thirdsentry_pipeline.report.words import counted, length_of, percent

if TYPE_CHECKING:
    from thirdsentry_pipeline.report.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Notice:
    """What a reader has to know before any number; ``command`` is what to run next, if any."""

    title: str
    text: str
    command: str | None = None
    is_alarm: bool = False


@dataclass(frozen=True, slots=True)
class Headline:
    """A number, the counts behind it, and what it means."""

    label: str
    value: str
    detail: str
    meaning: str


def notices(snapshot: Snapshot) -> tuple[Notice, ...]:
    """Alarms first, then the empty state, if there is one."""
    return (*_alarms(snapshot), *_emptiness(snapshot))


def _alarms(snapshot: Snapshot) -> tuple[Notice, ...]:
    alarms = []
    if snapshot.audit.problem is not None:
        alarms.append(
            Notice(
                title="The audit log is broken",
                text=(
                    f"Its hash chain does not hold from row {snapshot.audit.broken_seq} on: "
                    f"{snapshot.audit.problem}. What this report says may rest on altered "
                    "records."
                ),
                command=f"thirdsentry audit verify --organization {snapshot.organization_id}",
                is_alarm=True,
            )
        )
    altered = [one for one in snapshot.evidence if one.is_recomputed is False]
    if altered:
        alarms.append(
            Notice(
                title="Stored evidence does not match its fingerprint",
                text=(
                    f"{counted(len(altered), 'piece')} of evidence below "
                    f"{'is' if len(altered) == 1 else 'are'} not what was read from AWS."
                ),
                is_alarm=True,
            )
        )
    return tuple(alarms)


def _emptiness(snapshot: Snapshot) -> tuple[Notice, ...]:
    organization = f"--organization {snapshot.organization_id}"
    if not snapshot.connections:
        return (
            Notice(
                title="No account is connected yet",
                text=(
                    "Every control counts as missing until an AWS account is connected and read. "
                    "Start by showing the customer the role to set up, then connect it."
                ),
                command=f"thirdsentry onboard {organization}",
            ),
        )
    if snapshot.totals.connections_live == 0:
        return (
            Notice(
                title="Every connection is revoked",
                text=(
                    "Nothing is read any more, so every control counts as missing. What was read "
                    "before stays in the warehouse as history. To go on, onboard and connect an "
                    "account again."
                ),
                command=f"thirdsentry onboard {organization}",
            ),
        )
    if all(one.last_ok_at is None for one in snapshot.evidence):
        return (
            Notice(
                title="Nothing has been read yet",
                text=(
                    f"{counted(snapshot.totals.connections_live, 'account is', 'accounts are')} "
                    "connected, and no read has brought evidence so far. Collect it now, or wait "
                    "for the daily run at 02:00 UTC."
                ),
                command=f"thirdsentry sync {organization}",
            ),
        )
    return ()


def summary(snapshot: Snapshot) -> str:
    """One sentence on how the controls stand."""
    counts = Counter(one.control_status for one in snapshot.controls)
    if not snapshot.controls:
        return "No control is mapped to evidence."
    parts = [
        counted(counts[status], one, many)
        for status, one, many in (
            ("failing", "fails", "fail"),
            ("missing", "lacks evidence", "lack evidence"),
            ("stale", "has evidence that is too old", "have evidence that is too old"),
            ("pending", "waits for a first read", "wait for a first read"),
            ("not_applicable", "does not apply", "do not apply"),
        )
        if counts[status]
    ]
    mapped = counted(len(snapshot.controls), "mapped control")
    frameworks = counted(len(snapshot.frameworks), "framework")
    if not parts:
        return f"All {mapped} of {frameworks} pass on fresh evidence."
    passing = counted(counts["passing"], "passes", "pass")
    return f"Of {mapped} in {frameworks}, {passing}; {', '.join(parts)}."


def headlines(snapshot: Snapshot) -> tuple[Headline, ...]:
    """The numbers at the top; passing and covered are never mixed."""
    totals = snapshot.totals
    applicable = sum(one.controls_applicable for one in snapshot.frameworks)
    passing = sum(one.controls_passing for one in snapshot.frameworks)
    covered = sum(one.controls_covered for one in snapshot.frameworks)
    of = f"of {counted(applicable, 'applicable control')}"
    stale_in = (
        "none is fresh now"
        if totals.next_stale_at is None
        else f"the next one is stale in {length_of(totals.next_stale_at - snapshot.taken_at)}"
    )
    return (
        Headline(
            "Controls passing",
            percent(totals.passing_pct),
            f"{passing} {of}",
            "All evidence they need is fresh and proves them, in every connected account.",
        ),
        Headline(
            "Controls covered",
            percent(totals.covered_pct),
            f"{covered} {of}",
            "All evidence they need is fresh, whatever it proves. A covered control may fail.",
        ),
        Headline(
            "Evidence fresh",
            str(totals.evidence_fresh),
            f"of {counted(totals.evidence_required, 'required piece')}; {stale_in}",
            "Read from AWS well, and no longer ago than its limit allows.",
        ),
        Headline(
            "Evidence failing",
            str(totals.evidence_failing),
            "fresh reads that prove a gap",
            "The account was read and does not meet the requirement.",
        ),
        Headline(
            "Stale or missing",
            str(totals.evidence_stale + totals.evidence_missing),
            f"{totals.evidence_stale} stale, {totals.evidence_missing} missing",
            "Too old, never read, or not authorized. It never counts as passing.",
        ),
        Headline(
            "Accounts connected",
            str(totals.connections_live),
            "live connections",
            "AWS accounts that are read every day through a role the customer controls.",
        ),
    )
