"""Why evidence or a control stands as it does, and what to do about it, in words. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thirdsentry_pipeline.domain.evidence import EvidenceType
from thirdsentry_pipeline.domain.failures import describe_failure
from thirdsentry_pipeline.report.words import (
    EVIDENCE_ORDER,
    counted,
    error_words,
    length_of,
    sentence,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from thirdsentry_pipeline.report.snapshot import AccountConnection, Control, Evidence

ACCOUNTS_NAMED = 5
NO_CONNECTION = "No account is connected, so nothing can prove it."

NEXT_STEPS: Mapping[str, str] = {
    EvidenceType.ROOT_MFA: (
        "Give the root user an MFA device, and delete its access keys, if it has any."
    ),
    EvidenceType.MFA_COVERAGE: "Give every console user an MFA device, or take the password away.",
    EvidenceType.PASSWORD_POLICY: "Set a password policy that meets the CIS requirements.",
    EvidenceType.CLOUDTRAIL_LOGGING: (
        "Let one multi-region trail log all management events, with nothing excluded."
    ),
    EvidenceType.S3_PUBLIC_ACCESS_BLOCK: "Turn on all four settings of S3 Block Public Access.",
    EvidenceType.GUARDDUTY_STATUS: "Enable GuardDuty in every region, or waive the region.",
    EvidenceType.GUARDDUTY_FINDINGS: "Look into the findings listed below; archive what is solved.",
}


def evidence_reason(
    evidence: Evidence, connection: AccountConnection | None, taken_at: datetime
) -> str:
    """One clause on one piece of evidence, without its title and account."""
    status = evidence.evidence_status
    if status == "pass":
        return "proven"
    if status == "not_applicable":
        return "does not apply to this account"
    if status == "fail":
        known = describe_failure(evidence.evidence_type, evidence.payload or {})
        return known or "the newest read proves that it does not hold"
    cause = error_words(_error_code(evidence, connection))
    because = f": {cause}" if cause else ""
    if status == "stale" and evidence.last_ok_at is not None:
        return f"last read well {length_of(taken_at - evidence.last_ok_at)} ago{because}"
    if status == "pending":
        return f"not read yet{because}"
    return f"never read since the account was connected{because}"


def evidence_next_step(evidence: Evidence, connection: AccountConnection | None) -> str:
    """What brings the evidence to pass, or at least to a verdict."""
    if evidence.evidence_status == "fail":
        return NEXT_STEPS.get(evidence.evidence_type, "Correct it in AWS, then sync.")
    code = _error_code(evidence, connection)
    if connection is not None and connection.status == "needs_reauth":
        return "Let the customer correct the role, then run `thirdsentry reauth`."
    if code in {"denied", "denied_by_scp"}:
        return (
            "Let the role read it: compare its permission policy with `thirdsentry onboard`."
            if code == "denied"
            else "Let the service control policies of the AWS organization allow the read."
        )
    return "Run `thirdsentry sync`, and look at `thirdsentry status` if it fails."


def _error_code(evidence: Evidence, connection: AccountConnection | None) -> str | None:
    """A role that did not open leaves no trace in the evidence, only in the run."""
    tried, run_at = evidence.last_attempt_at, connection.last_run_at if connection else None
    if (
        connection is not None
        and connection.last_error_code is not None
        and run_at is not None
        and (tried is None or run_at > tried)
    ):
        return connection.last_error_code
    return evidence.last_error_code


def control_reasons(
    control: Control,
    evidence: Mapping[str, Sequence[Evidence]],
    connections: Mapping[UUID, AccountConnection],
    taken_at: datetime,
) -> tuple[str, ...]:
    """Sentences on one control: what proves it, or what keeps it from passing, by account."""
    needed = [one for kind in control.evidence_types for one in evidence.get(kind, ())]
    if not needed:
        return (NO_CONNECTION,)
    lacking = [one for one in needed if one.evidence_status not in {"pass", "not_applicable"}]
    if control.control_status in {"passing", "not_applicable"} and not lacking:
        return (_proven(control, needed),)
    lacking.sort(key=lambda one: (EVIDENCE_ORDER.index(one.evidence_status), one.account_id))
    by_account: dict[str, list[str]] = {}
    for one in lacking:
        clause = evidence_reason(one, connections.get(one.connection_id), taken_at)
        named = clause if one.evidence_status == "fail" else f"“{one.evidence_title}” {clause}"
        by_account.setdefault(one.account_id, []).append(named)
    sentences = [
        sentence(f"account {account}: {'; '.join(clauses)}")
        for account, clauses in by_account.items()
    ]
    rest = len(sentences) - ACCOUNTS_NAMED
    if rest > 0:
        sentences[ACCOUNTS_NAMED:] = [f"And {counted(rest, 'more account', 'more accounts')}."]
    return tuple(sentences)


def _proven(control: Control, needed: Sequence[Evidence]) -> str:
    inapplicable = sum(one.evidence_status == "not_applicable" for one in needed)
    if control.control_status == "not_applicable":
        return "None of the evidence it needs applies to the connected accounts."
    pieces = counted(len(needed), "piece")
    tail = f"; {inapplicable} of them by not applying" if inapplicable else ""
    return f"Proven by {pieces} of fresh evidence{tail}."
