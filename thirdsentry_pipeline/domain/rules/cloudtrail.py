"""Verdict on CloudTrail: one trail that records everything, everywhere, is enough."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from thirdsentry_pipeline.domain.evidence import EvidenceType, Reading, Verdict
from thirdsentry_pipeline.domain.facts import (
    CloudTrailFacts,
    EventSelector,
    Trail,
    TrailStatus,
    Unread,
)
from thirdsentry_pipeline.domain.rules.outcome import RegionReads, proven, unproven
from thirdsentry_pipeline.domain.time import iso_z

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

SILENCE_WARNED_AFTER = timedelta(hours=24)

ManagementEvents = Literal["all", "read", "write", "none"]


def judge_cloudtrail(facts: CloudTrailFacts) -> Reading:
    """Judge whether a multi-region trail is logging read and write management events.

    One good trail proves ``pass`` whatever else was not read. ``fail`` needs everything read:
    any region or trail that did not answer might hold the good one.
    """
    if isinstance(facts.scope, Unread):
        return unproven(EvidenceType.CLOUDTRAIL_LOGGING, [facts.scope])
    reads = RegionReads[None].of(facts.scope, facts.regions)
    trail_reads = [
        (trail, fact) for trail in facts.trails for fact in (trail.status, trail.selectors)
    ]
    unread = [fact for _, fact in trail_reads if isinstance(fact, Unread)]
    regions_unread = {trail.home_region for trail, fact in trail_reads if isinstance(fact, Unread)}

    records = [_trail_record(trail) for trail in facts.trails]
    passed = bool(reads.answered) and any(record["reason"] is None for record in records)
    if not passed and (unread or not reads.is_complete):
        return reads.unproven(
            EvidenceType.CLOUDTRAIL_LOGGING, also_unread=unread, also_regions=regions_unread
        )
    return proven(
        EvidenceType.CLOUDTRAIL_LOGGING,
        Verdict.PASS if passed else Verdict.FAIL,
        {"trails": records, **reads.payload()},
        unread=[*reads.unread.values(), *unread],
        regions_unread=[*reads.unread, *regions_unread],
    )


def delivery_warnings(payload: Mapping[str, Any], now: datetime) -> tuple[str, ...]:
    """What a person should hear of logging trails whose logs do not arrive; never a verdict.

    ``payload`` is that of a reading just taken at ``now`` (aware).
    """
    warnings = []
    for trail in payload["trails"]:
        delivered_at = trail["latest_delivery_at"]
        if trail["latest_delivery_error"]:
            warnings.append(f"{trail['arn']} could not deliver: {trail['latest_delivery_error']}")
        elif (
            trail["is_logging"]
            and delivered_at
            and now - datetime.fromisoformat(delivered_at) > SILENCE_WARNED_AFTER
        ):
            warnings.append(f"{trail['arn']} has delivered nothing since {delivered_at}")
    return tuple(warnings)


def _trail_record(trail: Trail) -> dict[str, Any]:
    """One trail of the payload; null stands for what was not read."""
    status = trail.status if isinstance(trail.status, TrailStatus) else None
    selectors = None if isinstance(trail.selectors, Unread) else trail.selectors
    delivered_at = status.latest_delivery_at if status else None
    return {
        "arn": trail.arn,
        "home_region": trail.home_region,
        "is_multi_region": trail.is_multi_region,
        "is_organization_trail": trail.is_organization_trail,
        "is_logging": status.is_logging if status else None,
        "management_events": None if selectors is None else _management_events(selectors),
        "excluded_sources": None if selectors is None else _excluded_sources(selectors),
        "log_file_validation": trail.log_file_validation,
        "kms": trail.has_kms_key,
        "reason": ", ".join(_reasons(trail, status, selectors)) or None,
        "latest_delivery_at": iso_z(delivered_at) if delivered_at else None,
        "latest_delivery_error": status.latest_delivery_error if status else None,
    }


def _reasons(
    trail: Trail, status: TrailStatus | None, selectors: Sequence[EventSelector] | None
) -> Iterable[str]:
    """Why this trail alone does not pass; nothing when it does."""
    if not trail.is_multi_region:
        yield "single_region"
    if status is None:
        yield "status_unread"
    elif not status.is_logging:
        yield "not_logging"
    if selectors is None:
        yield "selectors_unread"
        return
    recorded = _management_events(selectors)
    if recorded == "none":
        is_narrowed = any(selector.management and selector.narrowed for selector in selectors)
        yield "management_events_narrowed" if is_narrowed else "no_management_events"
    elif recorded != "all":
        yield f"{recorded}_events_only"


def _covering(selectors: Sequence[EventSelector], word: str) -> list[EventSelector]:
    return [
        selector
        for selector in selectors
        if selector.management and not selector.narrowed and selector.read_write in {"All", word}
    ]


def _management_events(selectors: Sequence[EventSelector]) -> ManagementEvents:
    """Which management events the selectors record between them; narrowed ones don't count."""
    reads = bool(_covering(selectors, "ReadOnly"))
    writes = bool(_covering(selectors, "WriteOnly"))
    if reads and writes:
        return "all"
    if reads:
        return "read"
    return "write" if writes else "none"


def _excluded_sources(selectors: Sequence[EventSelector]) -> list[str]:
    """Sources whose reads or writes no selector records: one that records them is enough."""
    excluded: set[str] = set()
    for word in ("ReadOnly", "WriteOnly"):
        sets = [set(selector.excluded_sources) for selector in _covering(selectors, word)]
        excluded |= set.intersection(*sets) if sets else set()
    return sorted(excluded)
