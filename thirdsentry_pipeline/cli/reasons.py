"""Why a piece of evidence does not pass, in words an engineer can act on. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from thirdsentry_pipeline.domain.failures import describe_failure

SEVERITY = ("fail", "not_authorized", "missing", "stale", "pending", "not_applicable", "pass")


@dataclass(frozen=True, slots=True)
class Finding:
    """The state of one evidence type in one account; ``payload`` is that of its last good read."""

    evidence_type: str
    account_id: str
    evidence_status: str
    last_error_code: str | None
    last_ok_at: datetime | None
    payload: Mapping[str, Any] | None

    @property
    def is_passing(self) -> bool:
        """Whether it needs no reason."""
        return self.evidence_status == "pass"

    @property
    def severity(self) -> int:
        """Its place among the statuses, worst first."""
        return SEVERITY.index(self.evidence_status)


def explain(finding: Finding) -> str:
    """One clause: what is wrong, without the account."""
    slug, status = finding.evidence_type, finding.evidence_status
    code = f" ({finding.last_error_code})" if finding.last_error_code else ""
    if status == "fail" and finding.payload is not None:
        return describe_failure(slug, finding.payload) or f"{slug} fails"
    if status == "stale":
        since = finding.last_ok_at.strftime("%Y-%m-%d") if finding.last_ok_at else "connecting"
        return f"{slug} not read well since {since}{code}"
    if status in {"pending", "missing", "not_authorized"}:
        return f"{slug} was never read{code}"
    return f"{slug} does not apply" if status == "not_applicable" else f"{slug} is {status}"
