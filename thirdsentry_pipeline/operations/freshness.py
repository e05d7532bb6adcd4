"""Which evidence is stale or not authorized, over all organizations, each in its own scope.

Dagster's freshness policy sees an asset's last materialization only: with one organization of
a thousand synced it says healthy. These findings are what stands beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from thirdsentry_pipeline.domain.errors import ThirdSentryError
from thirdsentry_pipeline.domain.evidence import EvidenceType
from thirdsentry_pipeline.warehouse.scope import live_organization_ids, organization_scope

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Engine

STALE_STATUSES = frozenset({"stale", "missing", "not_authorized"})

_MART = text("select to_regclass('coverage.evidence_freshness')")
_ROWS = text(
    """
    select f.organization_id, f.connection_id::text as connection_id, f.account_id,
           f.evidence_type, f.evidence_status, f.last_ok_at, f.last_attempt_status,
           f.last_error_code, c.status as connection_status
    from coverage.evidence_freshness as f
    join warehouse.connections as c using (organization_id, connection_id)
    """
)


class CoverageNotBuiltError(ThirdSentryError):
    """There is nothing to judge freshness by."""


@dataclass(frozen=True, slots=True)
class EvidenceFinding:
    """One connection's evidence of one type as the freshness mart sees it now."""

    organization_id: str
    connection_id: str
    account_id: str
    evidence_type: EvidenceType
    evidence_status: str
    last_ok_at: str | None
    last_attempt_status: str | None
    last_error_code: str | None
    connection_status: str

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> EvidenceFinding:
        """From a row of the mart; ``last_ok_at`` becomes ISO 8601."""
        moment = row["last_ok_at"]
        return cls(
            **{
                **row,
                "evidence_type": EvidenceType(row["evidence_type"]),
                "last_ok_at": moment.isoformat() if moment else None,
            }
        )

    @property
    def is_stale(self) -> bool:
        """Whether no good read is younger than the connection's threshold."""
        return self.evidence_status in STALE_STATUSES

    @property
    def is_unauthorized(self) -> bool:
        """Whether the customer's side refused the last attempt, or the role itself."""
        return (
            self.last_attempt_status == "denied"
            or self.evidence_status == "not_authorized"
            or self.connection_status == "needs_reauth"
        )


def evidence_findings(pipeline: Engine, scheduler: Engine) -> list[EvidenceFinding]:
    """Every live connection's evidence, one scope per organization.

    Raises:
        CoverageNotBuiltError: the freshness mart is not there yet.
    """
    with pipeline.connect() as connection:
        if connection.scalar(_MART) is None:
            message = "The coverage models are not built yet: run the job coverage_history."
            raise CoverageNotBuiltError(message)
    findings: list[EvidenceFinding] = []
    for organization_id in live_organization_ids(scheduler):
        with organization_scope(pipeline, organization_id) as database:
            rows = database.execute(_ROWS).mappings().all()
        findings.extend(EvidenceFinding.of(dict(row)) for row in rows)
    return findings
