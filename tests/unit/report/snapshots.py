"""Snapshots as the warehouse gives them, for every state an organization can be in."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from tests.unit.report.pieces import (
    FIRST_ACCOUNT,
    KINDS,
    NOW,
    ORGANIZATION,
    SECOND_ACCOUNT,
    connection,
    controls_of,
    day,
    evidence,
    finding,
    frameworks_of,
    mfa_account,
    run,
)
from thirdsentry_pipeline.report.history import share
from thirdsentry_pipeline.report.snapshot import (
    AccountConnection,
    AuditChain,
    Evidence,
    MfaGap,
    Snapshot,
    Totals,
)


def snapshot(
    pieces: tuple[Evidence, ...] = (),
    connections: tuple[AccountConnection, ...] = (),
    *,
    name: str = "Acme Ltd",
    **changes: Any,
) -> Snapshot:
    """A snapshot whose controls, frameworks and totals follow from its evidence."""
    controls = controls_of(pieces)
    frameworks = frameworks_of(controls)
    applicable = sum(one.controls_applicable for one in frameworks)
    count = lambda *statuses: sum(one.evidence_status in statuses for one in pieces)  # noqa: E731 - four words, used thrice
    made = Snapshot(
        organization_id=ORGANIZATION,
        taken_at=NOW,
        totals=Totals(
            organization_name=name,
            connections_live=sum(one.deleted_at is None for one in connections),
            evidence_required=len(pieces) or len(KINDS),
            evidence_fresh=sum(one.is_fresh for one in pieces),
            evidence_stale=count("stale"),
            evidence_missing=count("missing", "not_authorized") if pieces else len(KINDS),
            evidence_failing=count("fail"),
            covered_pct=share(sum(one.controls_covered for one in frameworks), applicable),
            passing_pct=share(sum(one.controls_passing for one in frameworks), applicable),
            last_ok_at=max((one.last_ok_at for one in pieces if one.last_ok_at), default=None),
            next_stale_at=min((one.stale_at for one in pieces if one.is_fresh), default=None),
        ),
        frameworks=frameworks,
        controls=controls,
        evidence=pieces,
        history=(),
        mfa_accounts=tuple(mfa_account(one) for one in pieces if one.evidence_type == KINDS[1]),
        mfa_gaps=(),
        findings=(),
        connections=connections,
        runs=tuple(run(one) for one in connections if one.last_run_at),
        audit=AuditChain(12, 1, 12, "ab" * 32, NOW - timedelta(hours=5), None, None),
    )
    return replace(made, **changes)


def all_passing() -> Snapshot:
    """One account, everything fresh and proven."""
    return snapshot(tuple(evidence(kind) for kind in KINDS), (connection(),))


def never_connected() -> Snapshot:
    empty = AuditChain(0, 1, 0, "0" * 64, None, None, None)
    return snapshot(audit=empty)


def never_read() -> Snapshot:
    """Connected an hour ago, nothing read."""
    fresh = connection(last_run_at=None, last_run_status=None, last_ok_at=None)
    return snapshot(tuple(evidence(kind, "pending") for kind in KINDS), (fresh,))


def all_revoked() -> Snapshot:
    return snapshot((), (connection(status="revoked", deleted_at=NOW - timedelta(days=1)),))


def of_every_kind() -> Snapshot:
    """Two accounts, every status, users and findings to worry about, sixty days of history."""
    second = ("fail", "fail", "pass", "stale", "not_authorized", "pending", "fail")
    pieces = (
        *(evidence(kind, "not_applicable" if kind == KINDS[0] else "pass") for kind in KINDS),
        *(
            evidence(kind, status, SECOND_ACCOUNT)
            for kind, status in zip(KINDS, second, strict=True)
        ),
    )
    needs_reauth = connection(
        SECOND_ACCOUNT,
        status="needs_reauth",
        last_run_status="failed",
        last_error_code="assume_role_denied",
        consecutive_failures=2,
        waived_region_reasons={"af-south-1": "closed by policy"},
    )
    revoked = connection("999999999999", status="revoked", deleted_at=NOW - timedelta(days=1))
    history = tuple(
        day(
            ago,
            passing=40 + (60 - ago) // 2 - (18 if 20 < ago < 26 else 0),
            covered=80 - (30 if 20 < ago < 26 else 0),
        )
        for ago in range(60, 0, -1)
    )
    return snapshot(
        pieces,
        (connection(), needs_reauth, revoked),
        history=history,
        mfa_gaps=(
            MfaGap(SECOND_ACCOUNT, "bob", NOW - timedelta(hours=5)),
            MfaGap(SECOND_ACCOUNT, "carol", NOW - timedelta(hours=5)),
        ),
        findings=(finding(1), finding(2, "7.5", finding_type="Recon:EC2/PortProbe")),
    )


HOSTILE = "<script>alert(1)</script>\"'&\u202egro.live\u2066\x00\x1b[31m" + "W" * 120


def of_hostile_names() -> Snapshot:
    """Every text that someone else chooses tries to be more than text."""
    bad = evidence(
        KINDS[1],
        "fail",
        payload={
            "users_with_password": 1,
            "users_without_mfa_count": 1,
            "users_without_mfa": [HOSTILE],
        },
    )
    odd = connection(
        role_arn=f"arn:aws:iam::1:role/{HOSTILE}", waived_region_reasons={HOSTILE: HOSTILE}
    )
    return snapshot(
        (bad,),
        (odd,),
        name=HOSTILE,
        mfa_gaps=(MfaGap(FIRST_ACCOUNT, HOSTILE, NOW),),
        findings=(finding(finding_type=HOSTILE, finding_id=HOSTILE, region=HOSTILE),),
        runs=(replace(run(odd), dagster_run_id=HOSTILE),),
    )
