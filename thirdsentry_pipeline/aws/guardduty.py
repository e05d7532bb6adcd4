"""GuardDuty: the detector of each region, and its findings of severity 7 and up."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

from thirdsentry_pipeline.aws import paging, shapes
from thirdsentry_pipeline.aws.errors import (
    AnswerTooLargeError,
    MalformedAnswerError,
    RegionDisabled,
)
from thirdsentry_pipeline.aws.reading import within_scope
from thirdsentry_pipeline.domain.facts import (
    Detector,
    Finding,
    GuardDutyFindingsFacts,
    GuardDutyStatusFacts,
    Unread,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from thirdsentry_pipeline.aws.account_session import AccountSession
    from thirdsentry_pipeline.aws.reading import Answer, Reads, Slot
    from thirdsentry_pipeline.domain.facts import Fact, RegionScope

LIST_DETECTORS = "guardduty:ListDetectors"
GET_DETECTOR = "guardduty:GetDetector"
LIST_FINDINGS = "guardduty:ListFindings"
_BATCH = 50
_MOST_FINDINGS = 100_000
_HIGHEST_SEVERITY = 10.0
_STATES = {"ENABLED": True, "DISABLED": False}


class GuardDutyReads:
    """Reads both GuardDuty types from one listing of the detectors per region."""

    def __init__(
        self, session: AccountSession, reads: Reads, *, status: bool, findings: bool
    ) -> None:
        self._session = session
        self._reads = reads
        self._status = status
        self._findings = findings
        self._listings: dict[str, Slot[str | None]] = {}
        self._detectors: dict[str, Slot[Detector | None]] = {}
        self._found: dict[str, Slot[tuple[Finding, ...] | None]] = {}

    def start(self, regions: Sequence[str]) -> None:
        """Ask every region for its detector, and what follows from the answer."""
        for region in regions:
            self._listings[region] = self._reads.start(
                LIST_DETECTORS,
                partial(read_detector_id, self._session, region),
                partial(self._follow, region),
            )

    def _follow(self, region: str, detector_id: Answer[str | None]) -> None:
        if detector_id is None or isinstance(detector_id, (Unread, RegionDisabled)):
            return
        if self._status:
            self._detectors[region] = self._reads.start(
                GET_DETECTOR, partial(read_detector, self._session, region, detector_id)
            )
        if self._findings:
            self._found[region] = self._reads.start(
                LIST_FINDINGS, partial(read_findings, self._session, region, detector_id)
            )

    def status_facts(self, scope: Fact[RegionScope]) -> GuardDutyStatusFacts:
        """What was read of the detectors by now."""
        answers = {r: self._outcome(r, self._detectors) for r in list(self._listings)}
        return GuardDutyStatusFacts(*within_scope(scope, answers, LIST_DETECTORS))

    def findings_facts(self, scope: Fact[RegionScope]) -> GuardDutyFindingsFacts:
        """What was read of the findings by now."""
        answers = {r: self._outcome(r, self._found) for r in list(self._listings)}
        within, regions = within_scope(scope, answers, LIST_DETECTORS)
        return GuardDutyFindingsFacts(self._session.account_id, within, regions)

    def _outcome(self, region: str, followed: Mapping[str, Slot[Any]]) -> Answer[Any]:
        # The listing's answer first: it gets one only after what follows has its slot, so that
        # where nothing followed it is a failure or "no detector", never a detector's id.
        listed = self._listings[region].answer
        return followed[region].answer if region in followed else listed


def read_detector_id(session: AccountSession, region: str) -> str | None:
    """The id of the region's one detector, ``None`` when there is none."""
    client = session.client("guardduty", region)
    ids: list[str] = []
    for page in paging.pages(client.list_detectors, paging.NEXT_TOKEN, {"MaxResults": _BATCH}):
        ids.extend(shapes.texts(page, "DetectorIds"))
    if len(ids) > 1:
        message = "there is more than one detector"
        raise MalformedAnswerError(message)
    return ids[0] if ids else None


def read_detector(session: AccountSession, region: str, detector_id: str) -> Detector:
    """Whether the detector is on, and who administers it."""
    client = session.client("guardduty", region)
    status = shapes.text(client.get_detector(DetectorId=detector_id), "Status")
    if status not in _STATES:
        message = "Status is neither ENABLED nor DISABLED"
        raise MalformedAnswerError(message)
    answer = client.get_administrator_account(DetectorId=detector_id)
    administrator = answer.get("Administrator") or {}
    account_id = None
    if shapes.optional_text(administrator, "AccountId") is not None:
        account_id = shapes.account_id(administrator, "AccountId")
    return Detector(detector_id, _STATES[status], account_id)


def read_findings(session: AccountSession, region: str, detector_id: str) -> tuple[Finding, ...]:
    """The account's own findings of severity 7 and up that are not archived.

    An administrator account's detector lists its members' findings too; they are not asked for,
    so that another account's data is not even read.
    """
    client = session.client("guardduty", region)
    ids: list[str] = []
    criteria = {
        "severity": {"GreaterThanOrEqual": 7},
        "service.archived": {"Equals": ["false"]},
        "accountId": {"Equals": [session.account_id]},
    }
    parameters = {
        "DetectorId": detector_id,
        "FindingCriteria": {"Criterion": criteria},
        "MaxResults": _BATCH,
    }
    for page in paging.pages(client.list_findings, paging.NEXT_TOKEN, parameters):
        ids.extend(shapes.texts(page, "FindingIds"))
        if len(ids) > _MOST_FINDINGS:
            message = f"there are more than {_MOST_FINDINGS} findings"
            raise AnswerTooLargeError(message)
    ordered = sorted(shapes.without_repeats(ids, "finding ids"))
    found: list[Finding] = []
    for start in range(0, len(ordered), _BATCH):
        batch = ordered[start : start + _BATCH]
        answer = client.get_findings(DetectorId=detector_id, FindingIds=batch)
        found.extend(_parse_batch(answer, region, batch))
    return tuple(found)


def _parse_batch(answer: Any, region: str, asked: Sequence[str]) -> Iterator[Finding]:
    findings = shapes.records(answer, "Findings")
    ids = shapes.without_repeats((shapes.text(item, "Id") for item in findings), "findings")
    if set(ids) != set(asked):
        message = "Findings are not those that were asked for"
        raise MalformedAnswerError(message)
    for item in findings:
        service = shapes.record(item, "Service")
        if not shapes.optional_flag(service, "Archived"):
            yield _parse_finding(item, service, region)


def _parse_finding(item: Any, service: Mapping[str, Any], region: str) -> Finding:
    return Finding(
        region=region,
        finding_id=shapes.text(item, "Id"),
        finding_type=shapes.text(item, "Type"),
        severity=shapes.decimal_number(item, "Severity", at_most=_HIGHEST_SEVERITY),
        account_id=shapes.account_id(item, "AccountId"),
        first_seen_at=shapes.optional_moment(service, "EventFirstSeen"),
        last_seen_at=shapes.optional_moment(service, "EventLastSeen"),
        is_sample=_is_sample(service),
    )


def _is_sample(service: Mapping[str, Any]) -> bool:
    """Whether ``CreateSampleFindings`` made it, by the mark in the service's additional info."""
    details = service.get("AdditionalInfo")
    if details is None:
        return False
    value = shapes.optional_text(details, "Value")
    try:
        marks = json.loads(value) if value is not None else None
    except (ValueError, RecursionError):
        # Free text is no mark, and a finding not marked as a sample counts.
        return False
    return isinstance(marks, dict) and marks.get("sample") is True
