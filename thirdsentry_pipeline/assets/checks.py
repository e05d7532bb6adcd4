"""Asset checks over all organizations, two per evidence asset.

They read the warehouse instead of a run's outcome: a check's state is per asset, so one
evaluated inside a run would show the last organization's result only.
"""

from collections.abc import Callable, Iterator, Sequence

import dagster as dg

from thirdsentry_pipeline.assets.evidence_specs import EVIDENCE_KEYS
from thirdsentry_pipeline.domain.evidence import EvidenceType
from thirdsentry_pipeline.operations.freshness import (
    CoverageNotBuiltError,
    EvidenceFinding,
    evidence_findings,
)
from thirdsentry_pipeline.resources.warehouse import WarehouseResource

FRESH = "organizations_are_fresh"
AUTHORIZED = "reads_are_authorized"
SAMPLE_SIZE = 20
NAMED = 3
"""Connections that the sentence of a failed check names; the sample holds more."""

_RULES: dict[str, tuple[str, dg.AssetCheckSeverity, Callable[[EvidenceFinding], bool]]] = {
    FRESH: (
        "Every live connection was read well within its threshold (48 h unless set smaller).",
        dg.AssetCheckSeverity.ERROR,
        lambda finding: finding.is_stale,
    ),
    AUTHORIZED: (
        "No customer refused the last read, and no role is closed to us.",
        dg.AssetCheckSeverity.WARN,
        lambda finding: finding.is_unauthorized,
    ),
}

CHECK_SPECS = [
    dg.AssetCheckSpec(name=name, asset=EVIDENCE_KEYS[kind], description=description)
    for kind in EvidenceType
    for name, (description, _, _) in _RULES.items()
]


@dg.multi_asset_check(name="evaluate_evidence_checks", specs=CHECK_SPECS, can_subset=True)
def evidence_checks(
    context: dg.AssetCheckExecutionContext, warehouse: WarehouseResource
) -> Iterator[dg.AssetCheckResult]:
    """Evaluate the selected checks from one reading of the freshness mart."""
    try:
        findings, reason = evidence_findings(warehouse.pipeline, warehouse.scheduler), None
    except CoverageNotBuiltError as error:
        findings, reason = [], str(error)
    for kind in EvidenceType:
        for name in _RULES:
            if dg.AssetCheckKey(EVIDENCE_KEYS[kind], name) not in context.selected_asset_check_keys:
                continue
            if reason is None:
                yield check_result(name, kind, findings)
            else:
                yield dg.AssetCheckResult(
                    check_name=name,
                    asset_key=EVIDENCE_KEYS[kind],
                    passed=False,
                    severity=dg.AssetCheckSeverity.WARN,
                    description=reason,
                )


def check_result(
    name: str, kind: EvidenceType, findings: Sequence[EvidenceFinding]
) -> dg.AssetCheckResult:
    """Judge one check: failed with the counts and a sample when any connection violates it."""
    _, severity, is_violation = _RULES[name]
    of_kind = [finding for finding in findings if finding.evidence_type is kind]
    violations = sorted(
        (finding for finding in of_kind if is_violation(finding)),
        key=lambda finding: (finding.organization_id, finding.account_id),
    )
    organizations = len({finding.organization_id for finding in of_kind})
    failing = len({finding.organization_id for finding in violations})
    return dg.AssetCheckResult(
        check_name=name,
        asset_key=EVIDENCE_KEYS[kind],
        passed=not violations,
        severity=severity,
        description=(
            f"{len(violations)} of {len(of_kind)} connections, in {failing} of {organizations} "
            f"organizations: {_named(violations)}"
            if violations
            else f"All {len(of_kind)} connections of {organizations} organizations."
        ),
        metadata={
            "organizations": organizations,
            "connections": len(of_kind),
            "organizations_failing": failing,
            "connections_failing": len(violations),
            "sample": dg.MetadataValue.json([_shown(one) for one in violations[:SAMPLE_SIZE]]),
        },
    )


def _named(violations: Sequence[EvidenceFinding]) -> str:
    named = [
        f"account {one.account_id} of {one.organization_id} ({_state(one)})"
        for one in violations[:NAMED]
    ]
    return "; ".join(named) + ("; and more." if len(violations) > NAMED else ".")


def _state(finding: EvidenceFinding) -> str:
    closed = "needs_reauth" if finding.connection_status == "needs_reauth" else None
    return ", ".join(filter(None, (finding.evidence_status, finding.last_error_code, closed)))


def _shown(finding: EvidenceFinding) -> dict[str, str | None]:
    return {
        "organization_id": finding.organization_id,
        "account_id": finding.account_id,
        "evidence_status": finding.evidence_status,
        "last_ok_at": finding.last_ok_at,
        "last_attempt_status": finding.last_attempt_status,
        "last_error_code": finding.last_error_code,
        "connection_status": finding.connection_status,
    }
