"""Verdicts on IAM: root MFA, MFA coverage of users, password policy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from thirdsentry_pipeline.domain.evidence import EvidenceType, Reading, Verdict
from thirdsentry_pipeline.domain.facts import (
    AccountSummary,
    CredentialReport,
    CredentialReportRow,
    IamUser,
    MfaCoverageFacts,
    PasswordPolicy,
    PasswordPolicyFacts,
    RootMfaFacts,
    Unread,
)
from thirdsentry_pipeline.domain.fingerprint import nfc
from thirdsentry_pipeline.domain.identifiers import account_root_arn
from thirdsentry_pipeline.domain.rules.outcome import proven, unproven
from thirdsentry_pipeline.domain.time import iso_z

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

OFFENDERS_KEPT = 1_000
ROOT_USER = "<root_account>"

# The credential report's own words.
_YES = "true"
_NO = "false"
_NOT_SUPPORTED = "not_supported"


# --- Root MFA -------------------------------------------------------------------------


def judge_root_mfa(facts: RootMfaFacts) -> Reading:
    """Judge whether the root user, if it can sign in at all, is protected by MFA.

    Each half is proven by whichever source tells it. That a credential exists is proven by the
    summary or the report; that none exists only by both, because each sees what the other may
    not. MFA is told by the summary, which is live, else by the report's root row. So a denied
    report does not hide what the summary proves, and the other way round.
    """
    summary = None if isinstance(facts.summary, Unread) else facts.summary
    report = None if isinstance(facts.report, Unread) else facts.report
    row = report.root if report else None

    unread = [
        fact
        for fact in (facts.summary, facts.report, facts.virtual_mfa_user_arns)
        if isinstance(fact, Unread)
    ]
    has_credential = _root_has_credential(summary, row, facts.partition)
    mfa_enabled = _root_mfa_enabled(summary, row)
    if has_credential is None or (has_credential and mfa_enabled is None):
        return unproven(
            EvidenceType.ROOT_MFA,
            [fact for fact in (facts.summary, facts.report) if isinstance(fact, Unread)],
            nothing_read=summary is None and report is None,
        )

    if not has_credential:
        verdict = Verdict.NOT_APPLICABLE
    else:
        verdict = Verdict.PASS if mfa_enabled else Verdict.FAIL
    return proven(
        EvidenceType.ROOT_MFA,
        verdict,
        {
            "has_credential": has_credential,
            "password_present": _root_password_present(summary, row),
            "active_access_keys": _root_active_access_keys(summary, row),
            "mfa_enabled": mfa_enabled,
            "mfa_kind": _root_mfa_kind(facts) if mfa_enabled else None,
            "report_generated_at": iso_z(report.generated_at) if report else None,
        },
        unread=unread,
        source_generated_at=report.generated_at if report else None,
    )


def _root_has_credential(
    summary: AccountSummary | None, row: CredentialReportRow | None, partition: str
) -> bool | None:
    in_summary = summary.password_present if summary else None
    in_row = None
    if row:
        # In the commercial partition the report says `not_supported` of a root password that
        # exists; elsewhere root has none to report on.
        in_row = (
            row.password_enabled == _YES
            or (row.password_enabled == _NOT_SUPPORTED and partition == "aws")
            or _active_keys(row) > 0
        )
    if in_summary or in_row:
        return True
    return None if in_summary is None or in_row is None else False


def _root_mfa_enabled(
    summary: AccountSummary | None, row: CredentialReportRow | None
) -> bool | None:
    if summary and summary.mfa_enabled is not None:
        return summary.mfa_enabled
    return row.mfa_active if row else None


def _root_password_present(
    summary: AccountSummary | None, row: CredentialReportRow | None
) -> bool | None:
    in_row = {_YES: True, _NO: False}.get(row.password_enabled) if row else None
    in_summary = summary.password_present if summary else None
    if in_row is None or in_summary is None:
        return in_summary if in_row is None else in_row
    return in_row or in_summary


def _root_active_access_keys(
    summary: AccountSummary | None, row: CredentialReportRow | None
) -> int | None:
    if row:
        return _active_keys(row)
    # "Present" may still be inactive, so only the absence of keys tells a number.
    return 0 if summary and summary.access_keys_present is False else None


def _active_keys(row: CredentialReportRow) -> int:
    return int(row.access_key_1_active) + int(row.access_key_2_active)


def _root_mfa_kind(facts: RootMfaFacts) -> str | None:
    if isinstance(facts.virtual_mfa_user_arns, Unread):
        return None
    root = account_root_arn(facts.partition, facts.account_id)
    return "virtual" if root in facts.virtual_mfa_user_arns else "hardware"


# --- MFA coverage ---------------------------------------------------------------------


def judge_mfa_coverage(facts: MfaCoverageFacts) -> Reading:
    """Judge whether every user who can sign in with a password has MFA."""
    if isinstance(facts.report, CredentialReport):
        return _mfa_verdict(_report_users(facts.report), facts.report)
    if facts.fallback_users is None:
        return unproven(EvidenceType.MFA_COVERAGE, [facts.report])
    if isinstance(facts.fallback_users, Unread):
        return unproven(EvidenceType.MFA_COVERAGE, [facts.report, facts.fallback_users])
    return _mfa_verdict(facts.fallback_users, None)


def _report_users(report: CredentialReport) -> list[IamUser]:
    return [
        IamUser(row.user, has_password=row.password_enabled == _YES, has_mfa=row.mfa_active)
        for row in report.users
        if row.user != ROOT_USER
    ]


def _mfa_verdict(users: Sequence[IamUser], report: CredentialReport | None) -> Reading:
    population = [user for user in users if user.has_password]
    offenders = sorted(nfc(user.name) for user in population if not user.has_mfa)
    if not population:
        verdict = Verdict.NOT_APPLICABLE
    else:
        verdict = Verdict.FAIL if offenders else Verdict.PASS
    return proven(
        EvidenceType.MFA_COVERAGE,
        verdict,
        {
            "users_with_password": len(population),
            "users_with_mfa": len(population) - len(offenders),
            "users_without_mfa": offenders[:OFFENDERS_KEPT],
            "users_without_mfa_count": len(offenders),
            "report_generated_at": iso_z(report.generated_at) if report else None,
        },
        source_generated_at=report.generated_at if report else None,
    )


# --- Password policy ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PasswordProfile:
    """What a benchmark asks of a password policy; ``None`` and false ask nothing."""

    minimum_length: int
    reuse_prevention: int
    max_age_days: int | None = None
    alphanumeric: bool = False

    def failed_by(self, policy: PasswordPolicy) -> list[str]:
        """The names of the requirements that ``policy`` does not meet."""
        return [name for name, is_met in self._results(policy) if not is_met]

    def _results(self, policy: PasswordPolicy) -> Iterable[tuple[str, bool]]:
        yield "minimum_length", (policy.minimum_length or 0) >= self.minimum_length
        yield "reuse_prevention", (policy.reuse_prevention or 0) >= self.reuse_prevention
        if self.max_age_days is not None:
            yield "max_age_days", 0 < (policy.max_age_days or 0) <= self.max_age_days
        if self.alphanumeric:
            has_letters = policy.require_uppercase or policy.require_lowercase
            yield "alphanumeric", policy.require_numbers and has_letters


PASSWORD_PROFILES: Mapping[str, PasswordProfile] = {
    "cis": PasswordProfile(minimum_length=14, reuse_prevention=24),
    "pci": PasswordProfile(
        minimum_length=12, reuse_prevention=4, max_age_days=90, alphanumeric=True
    ),
}


def judge_password_policy(facts: PasswordPolicyFacts, profile: str = "cis") -> Reading:
    """Judge the account's password policy by a profile of :data:`PASSWORD_PROFILES`.

    Members that AWS leaves out and members it sends as 0 mean the same (no reuse prevention,
    passwords that never expire), so both are written as null.
    """
    if isinstance(facts.policy, Unread):
        return unproven(EvidenceType.PASSWORD_POLICY, [facts.policy])
    policy = facts.policy or PasswordPolicy()
    failed = PASSWORD_PROFILES[profile].failed_by(policy)
    if facts.policy is None:
        failed.append("policy_present")
    payload: dict[str, Any] = {
        "policy_present": facts.policy is not None,
        "profile": profile,
        "minimum_length": policy.minimum_length or None,
        "reuse_prevention": policy.reuse_prevention or None,
        "max_age_days": policy.max_age_days or None,
        "require_symbols": policy.require_symbols,
        "require_numbers": policy.require_numbers,
        "require_uppercase": policy.require_uppercase,
        "require_lowercase": policy.require_lowercase,
        "failed_requirements": failed,
    }
    return proven(EvidenceType.PASSWORD_POLICY, Verdict.FAIL if failed else Verdict.PASS, payload)
