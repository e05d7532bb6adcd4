"""How a judgement becomes a reading: what was proven, what was not, and why not.

Every rule ends here, so the promises hold for all of them: a verdict only with a payload that
can be stored, no verdict from what was not read, and one error code for all that was unread.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from thirdsentry_pipeline.domain.evidence import (
    ErrorCode,
    EvidenceType,
    Reading,
    ReadStatus,
    Verdict,
)
from thirdsentry_pipeline.domain.facts import Fact, RegionScope, Unread
from thirdsentry_pipeline.domain.fingerprint import with_canonical_payload

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

T = TypeVar("T")

# Worst first: our own defects, then what a person must change, then what passes by itself.
_WORST_FIRST = (
    ErrorCode.BUG,
    ErrorCode.MALFORMED,
    ErrorCode.DENIED_BY_SCP,
    ErrorCode.DENIED,
    ErrorCode.NOT_READY,
    ErrorCode.THROTTLED,
    ErrorCode.TRANSIENT,
)


def worst_code(unread: Iterable[Unread]) -> ErrorCode | None:
    """The code that stands for several failed reads; ``None`` when there are none."""
    codes = {item.code for item in unread}
    return next((code for code in _WORST_FIRST if code in codes), ErrorCode.BUG if codes else None)


def proven(
    evidence_type: EvidenceType,
    verdict: Verdict,
    payload: Mapping[str, Any],
    *,
    unread: Iterable[Unread] = (),
    regions_unread: Iterable[str] = (),
    source_generated_at: datetime | None = None,
) -> Reading:
    """An ok reading; its error code tells the worst of what else was not read.

    A payload that can't be stored makes it a ``malformed`` error without a verdict instead.
    """
    return with_canonical_payload(
        Reading(
            evidence_type,
            ReadStatus.OK,
            verdict=verdict,
            payload=payload,
            error_code=worst_code(unread),
            regions_unread=tuple(sorted(set(regions_unread))),
            source_generated_at=source_generated_at,
        )
    )


def unproven(
    evidence_type: EvidenceType, unread: Sequence[Unread], *, nothing_read: bool = True
) -> Reading:
    """A reading of account-wide facts that proves nothing.

    ``denied`` when all it needs was denied, else ``error``. Without a failed read, AWS did
    answer but left out what the rule needs: ``malformed``.
    """
    denied = nothing_read and bool(unread) and all(item.code.is_denial for item in unread)
    return Reading(
        evidence_type,
        ReadStatus.DENIED if denied else ReadStatus.ERROR,
        error_code=worst_code(unread) or ErrorCode.MALFORMED,
    )


@dataclass(frozen=True, slots=True)
class RegionReads(Generic[T]):
    """The in-scope regions, parted into those that answered and those that did not."""

    scope: RegionScope
    answered: dict[str, T]
    unread: dict[str, Unread]

    @classmethod
    def of(cls, scope: RegionScope, regions: Mapping[str, Fact[T]]) -> RegionReads[T]:
        """Part ``regions``; an in-scope region that is missing there counts as unread.

        Regions out of scope are left out: they prove nothing either way.
        """
        answered: dict[str, T] = {}
        unread: dict[str, Unread] = {}
        for region in sorted(set(scope.in_scope)):
            fact = regions.get(region, Unread(ErrorCode.BUG, "region never asked"))
            if isinstance(fact, Unread):
                unread[region] = fact
            else:
                answered[region] = fact
        return cls(scope, answered, unread)

    @property
    def is_complete(self) -> bool:
        """Whether every in-scope region answered, and there was one to ask."""
        return bool(self.answered) and not self.unread

    def payload(self) -> dict[str, Any]:
        """The fields every regional payload carries."""
        return {
            "regions_in_scope": list(self.scope.in_scope),
            "regions_waived": list(self.scope.waived),
            "scope": self.scope.kind,
        }

    def unproven(
        self,
        evidence_type: EvidenceType,
        *,
        also_unread: Sequence[Unread] = (),
        also_regions: Iterable[str] = (),
    ) -> Reading:
        """A reading in which some regions did not answer and nothing is proven.

        With no region in scope nothing was asked, which proves nothing: ``malformed``.
        """
        failed = [*self.unread.values(), *also_unread]
        if not self.answered:
            status = unproven(evidence_type, failed).read_status
        else:
            status = ReadStatus.PARTIAL
        return Reading(
            evidence_type,
            status,
            error_code=worst_code(failed) or ErrorCode.MALFORMED,
            regions_unread=tuple(sorted({*self.unread, *also_regions})),
        )
