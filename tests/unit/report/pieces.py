"""Connections, evidence and what else a snapshot is made of, as the warehouse gives them.

Controls and their needs are the product's own seeds; statuses follow from the evidence.
"""

from __future__ import annotations

import csv
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from thirdsentry_pipeline.report.history import share
from thirdsentry_pipeline.report.snapshot import (
    AccountConnection,
    Control,
    Day,
    Evidence,
    Framework,
    MfaAccount,
    Run,
    ThreatFinding,
)

SEEDS = Path(__file__).parents[3] / "dbt" / "seeds"
ORGANIZATION = "5f0000000000000000000001"
NOW = datetime(2026, 3, 2, 9, 30, 15, 123456, tzinfo=UTC)
LIMIT = timedelta(hours=48)
FIRST_ACCOUNT, SECOND_ACCOUNT = "111111111111", "333333333333"
PAYLOADS: dict[str, dict[str, Any]] = {
    "aws.iam.root_mfa": {"active_access_keys": 1},
    "aws.iam.mfa_coverage": {
        "users_with_password": 5,
        "users_without_mfa_count": 2,
        "users_without_mfa": ["bob", "carol"],
    },
    "aws.iam.password_policy": {"policy_present": False},
    "aws.cloudtrail.multi_region_logging": {"trails": []},
    "aws.s3.account_public_access_block": {"configured": False},
    "aws.guardduty.status": {"regions": [{"region": "eu-west-1", "state": "absent"}]},
    "aws.guardduty.high_severity_findings": {"critical_count": 1, "high_count": 1},
}
GOOD_PAYLOADS: dict[str, dict[str, Any]] = {
    "aws.iam.mfa_coverage": {
        "users_with_password": 5,
        "users_without_mfa_count": 0,
        "users_without_mfa": [],
    },
    "aws.guardduty.high_severity_findings": {"critical_count": 0, "high_count": 0},
}
KINDS = tuple(PAYLOADS)


def stable_id(name: str) -> UUID:
    return uuid5(NAMESPACE_URL, name)


def seed(name: str) -> list[dict[str, str]]:
    with (SEEDS / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def connection(account: str = FIRST_ACCOUNT, **changes: Any) -> AccountConnection:
    made = AccountConnection(
        connection_id=stable_id(f"connection {account}"),
        account_id=account,
        connector="aws",
        role_arn=f"arn:aws:iam::{account}:role/ThirdSentryReader",
        status="active",
        connected_at=NOW - timedelta(days=40),
        deleted_at=None,
        waived_region_reasons={},
        last_run_at=NOW - timedelta(hours=5),
        last_run_status="succeeded",
        last_ok_at=NOW - timedelta(hours=5),
        consecutive_failures=0,
        last_error_code=None,
        is_stale=False,
    )
    return replace(made, **changes)


def evidence(
    kind: str, status: str = "pass", account: str = FIRST_ACCOUNT, **changes: Any
) -> Evidence:
    """One piece; a status that needs a good read has one, five hours or three days old."""
    was_read = status in {"pass", "fail", "not_applicable", "stale"}
    read_at = NOW - (timedelta(days=3, hours=4) if status == "stale" else timedelta(hours=5))
    name = f"{account} {kind}"
    verdict = {"stale": "pass"}.get(status, status) if was_read else None
    made = Evidence(
        connection_id=stable_id(f"connection {account}"),
        account_id=account,
        evidence_type=kind,
        evidence_title=next(
            row["evidence_title"] for row in seed("evidence_types") if row["evidence_type"] == kind
        ),
        evidence_status=status,
        is_fresh=was_read and status != "stale",
        last_ok_at=read_at if was_read else None,
        stale_at=(read_at if was_read else NOW - timedelta(hours=50 if status != "pending" else 1))
        + LIMIT,
        last_attempt_at=read_at if was_read else None,
        last_attempt_status="ok" if was_read else None,
        last_error_code={"not_authorized": "denied", "stale": "denied"}.get(status),
        fingerprint=f"fp1:{stable_id(name).hex * 2}" if was_read else None,
        evidence_id=stable_id(f"evidence {name}") if was_read else None,
        verdict=verdict,
        payload=PAYLOADS[kind]
        if verdict == "fail"
        else GOOD_PAYLOADS.get(kind, {})
        if was_read
        else None,
        first_observed_at=NOW - timedelta(days=30) if was_read else None,
        is_recomputed=True if was_read else None,
        run_id=stable_id(f"run {account}") if was_read else None,
        observed_at=read_at if was_read else None,
        source_generated_at=None,
        regions_unread=() if was_read else None,
    )
    return replace(made, **changes)


def control_status(statuses: list[str]) -> str:
    """The rule of ``control_coverage``, for fixtures alone."""
    names = {"fail": "failing", "not_authorized": "missing", "pass": "passing"}
    found = {names.get(status, status) for status in statuses}
    for status in ("failing", "missing", "stale", "pending"):
        if status in found:
            return status
    return "not_applicable" if found == {"not_applicable"} else "passing"


def controls_of(pieces: tuple[Evidence, ...]) -> tuple[Control, ...]:
    needs: dict[tuple[str, str, str, str], list[str]] = {}
    for row in seed("control_evidence_map"):
        key = (
            row["framework"],
            row["framework_version"],
            row["control_id"],
            row["control_title"],
        )
        needs.setdefault(key, []).append(row["evidence_type"])
    made = []
    for (framework, version, control_id, title), kinds in needs.items():
        needed = [one for one in pieces if one.evidence_type in kinds]
        fresh = sum(one.is_fresh for one in needed)
        made.append(
            Control(
                framework=framework,
                framework_version=version,
                control_id=control_id,
                control_title=title,
                control_status=control_status(
                    [one.evidence_status for one in needed] or ["missing"]
                ),
                is_covered=bool(needed) and fresh == len(needed),
                evidence_required=len(needed) or len(kinds),
                evidence_fresh=fresh,
                oldest_evidence_at=min(
                    (one.last_ok_at for one in needed if one.last_ok_at), default=None
                ),
                next_stale_at=min((one.stale_at for one in needed if one.is_fresh), default=None),
                evidence_types=tuple(sorted(kinds)),
            )
        )
    return tuple(made)


def frameworks_of(controls: tuple[Control, ...]) -> tuple[Framework, ...]:
    made = []
    for row in seed("frameworks"):
        own = [one for one in controls if one.framework == row["framework"]]
        applicable = [one for one in own if one.control_status != "not_applicable"]
        covered = sum(one.is_covered for one in applicable)
        passing = sum(one.control_status == "passing" for one in own)
        made.append(
            Framework(
                framework=row["framework"],
                framework_version=row["framework_version"],
                framework_name=row["framework_name"],
                publisher=row["publisher"],
                controls_total=len(own),
                controls_applicable=len(applicable),
                controls_covered=covered,
                controls_passing=passing,
                covered_pct=share(covered, len(applicable)),
                passing_pct=share(passing, len(applicable)),
            )
        )
    return tuple(made)


def mfa_account(piece: Evidence) -> MfaAccount:
    payload = piece.payload or {}
    users, without = payload.get("users_with_password"), payload.get("users_without_mfa_count", 0)
    return MfaAccount(
        connection_id=piece.connection_id,
        account_id=piece.account_id,
        root_mfa="pass" if piece.verdict else None,
        users_with_password=users,
        users_with_mfa=None if users is None else users - without,
        mfa_pct=None if users is None else share(users - without, users),
        report_generated_at=piece.source_generated_at,
        is_fresh=piece.is_fresh,
        last_ok_at=piece.last_ok_at,
    )


def run(one: AccountConnection) -> Run:
    return Run(
        run_id=stable_id(f"run {one.account_id}"),
        connection_id=one.connection_id,
        account_id=one.account_id,
        dagster_run_id=str(stable_id(f"dagster {one.account_id}")),
        status=one.last_run_status or "running",
        error_code=one.last_error_code,
        api_calls=142,
        started_at=NOW - timedelta(hours=5, minutes=1),
        finished_at=NOW - timedelta(hours=5),
    )


def finding(number: int = 1, severity: str = "9.1", **changes: Any) -> ThreatFinding:
    made = ThreatFinding(
        account_id=SECOND_ACCOUNT,
        region="eu-west-1",
        finding_id=f"{number:032x}",
        finding_type="UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS",
        severity=Decimal(severity),
        severity_label="critical" if Decimal(severity) >= 9 else "high",
        first_seen_at=NOW - timedelta(days=2),
        is_fresh=True,
        last_ok_at=NOW - timedelta(hours=5),
    )
    return replace(made, **changes)


def day(days_ago: int, passing: int, covered: int, applicable: int = 98) -> Day:
    when: date = (NOW - timedelta(days=days_ago)).date()
    return Day(when, applicable, covered, passing)
