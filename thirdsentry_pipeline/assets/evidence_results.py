"""From a sync's outcome to what an operator sees in Dagster. No secret and no payload passes."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

import dagster as dg

from thirdsentry_pipeline.domain.evidence import ErrorCode, EvidenceType, ReadStatus
from thirdsentry_pipeline.operations.sync_results import (
    ConnectionSync,
    OrganizationSync,
    TypeResult,
)

RETRYABLE = frozenset(
    {
        ErrorCode.TRANSIENT,
        ErrorCode.THROTTLED,
        ErrorCode.NOT_READY,
        ErrorCode.KEY_UNAVAILABLE,
    }
)
"""What may be gone in a minute; everything else fails again the same way."""

NEXT_STEPS = {
    ErrorCode.ASSUME_ROLE_DENIED: (
        "The role does not open for us: let the customer correct it, then run `thirdsentry reauth`."
    ),
    ErrorCode.ACCOUNT_MISMATCH: (
        "The role opened another account: revoke the connection and connect the right one."
    ),
    ErrorCode.KEY_UNAVAILABLE: (
        "The key that THIRDSENTRY_KMS_KEY_ID names was not usable: see `thirdsentry doctor`."
    ),
}
"""What an operator does about a whole account that stayed unread."""

REGIONS_SHOWN = 3


@dataclass(frozen=True, slots=True)
class TypeOutcome:
    """One evidence type over all accounts of an organization.

    ``is_read`` only when every live connection was read: a partition that looks collected
    while one account is unread would be a silent gap.
    """

    evidence_type: EvidenceType
    is_read: bool
    metadata: Mapping[str, Any]
    data_version: str | None


def type_outcome(sync: OrganizationSync, kind: EvidenceType, observed_at: datetime) -> TypeOutcome:
    """Sum up one type; ``observed_at`` (UTC) is the end of the sync."""
    results = [(one, one.evidence.get(kind)) for one in sync.connections]
    read = [(one, result) for one, result in results if _is_ok(result)]
    verdicts = Counter(str(result.verdict) for _, result in read if result)
    unread_regions = sorted(
        {region for _, result in results if result for region in result.regions_unread}
    )
    codes = sorted({str(_code(one, result)) for one, result in results if _code(one, result)})
    # In the order in which an operator asks: what came of it, why not, then how.
    metadata: dict[str, Any] = {
        "results": dg.MetadataValue.md(results_table(results)),
        "error_codes": codes,
        "accounts_read": len(read),
        "accounts_unread": len(results) - len(read),
        **{f"verdict_{name}": verdicts.get(name, 0) for name in ("pass", "fail", "not_applicable")},
        "evidence_new": sum(1 for _, result in read if result and result.is_new),
        "evidence_unchanged": sum(1 for _, result in read if result and not result.is_new),
        "api_calls": sum(one.api_calls for one in sync.connections),
        "throttles": sum(one.throttles for one in sync.connections),
        "seconds": round(sum(one.seconds for one in sync.connections), 3),
        "observed_at": dg.MetadataValue.timestamp(observed_at),
        "regions_unread": unread_regions,
    }
    is_read = bool(results) and len(read) == len(results)
    return TypeOutcome(kind, is_read, metadata, _data_version(read) if is_read else None)


def results_table(results: list[tuple[ConnectionSync, TypeResult | None]]) -> str:
    """One markdown row per account: verdict or the reason there is none."""
    import pandas as pd  # noqa: PLC0415 - half a second, for those who show results alone

    rows = [
        {
            "account": one.account_id,
            "read": str(result.read_status) if result else "not read",
            "verdict": str(result.verdict or "") if result else "",
            "new": "yes" if result and result.is_new else "",
            "error": str(_code(one, result) or ""),
            "regions unread": _some_regions(result.regions_unread) if result else "",
            "run": str(one.run_id or "").partition("-")[0],
        }
        for one, result in results
    ]
    columns = ["account", "read", "verdict", "new", "error", "regions unread", "run"]
    table = pd.DataFrame(rows, columns=columns)
    return str(table.to_markdown(index=False, disable_numparse=True))


def failure_sentence(organization_id: str, sync: OrganizationSync) -> str:
    """Why nothing could be read, account by account, and what may help."""
    if not sync.connections:
        return (
            f"Organization {organization_id} has no live connection, so there is nothing to "
            "read; connect an account with `thirdsentry connect`."
        )
    reasons = "; ".join(one.sentence() for one in sync.connections)
    steps = {NEXT_STEPS[one.error_code] for one in sync.connections if one.error_code in NEXT_STEPS}
    return " ".join(
        [f"Nothing could be read for organization {organization_id}: {reasons}.", *sorted(steps)]
    )


def may_retry(sync: OrganizationSync) -> bool:
    """Whether another run could read what this one could not, all by itself."""
    codes = {
        code
        for one in sync.connections
        for code in (
            [one.error_code] if not one.evidence else [r.error_code for r in one.evidence.values()]
        )
        if code is not None
    }
    return bool(codes & RETRYABLE)


def _some_regions(regions: Sequence[str]) -> str:
    more = f" and {len(regions) - REGIONS_SHOWN} more" if len(regions) > REGIONS_SHOWN else ""
    return ", ".join(regions[:REGIONS_SHOWN]) + more


def _is_ok(result: TypeResult | None) -> bool:
    return result is not None and result.read_status is ReadStatus.OK


def _code(one: ConnectionSync, result: TypeResult | None) -> ErrorCode | None:
    return one.error_code if result is None else result.error_code


def _data_version(read: list[tuple[ConnectionSync, TypeResult | None]]) -> str:
    """The same for the same state of the same accounts, so that Dagster shows what changed."""
    state = sorted(f"{one.account_id}={result.fingerprint}" for one, result in read if result)
    return sha256("\n".join(state).encode()).hexdigest()
