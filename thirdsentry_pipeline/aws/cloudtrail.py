"""CloudTrail: every trail of an account once, with what its home region says about it."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from thirdsentry_pipeline.aws import shapes
from thirdsentry_pipeline.aws.errors import MalformedAnswerError, RegionDisabled, error_code_of
from thirdsentry_pipeline.aws.event_selectors import parse_selectors
from thirdsentry_pipeline.aws.reading import settled, within_scope
from thirdsentry_pipeline.domain.evidence import ErrorCode
from thirdsentry_pipeline.domain.facts import CloudTrailFacts, Trail, TrailStatus, Unread

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from thirdsentry_pipeline.aws.account_session import AccountSession
    from thirdsentry_pipeline.aws.reading import Answer, Reads, Slot
    from thirdsentry_pipeline.domain.facts import EventSelector, Fact, RegionScope

DESCRIBE_TRAILS = "cloudtrail:DescribeTrails"
GET_TRAIL_STATUS = "cloudtrail:GetTrailStatus"
GET_EVENT_SELECTORS = "cloudtrail:GetEventSelectors"
_MOST_TRAILS = 1_000
# How AWS answers a member account that asks about its organization's trail.
_NOT_OURS = frozenset({"TrailNotFound", "CloudTrailARNInvalid", "OperationNotPermitted"})


class _Described:
    """A trail as ``DescribeTrails`` shows it, before its home region was asked."""

    def __init__(self, item: Any) -> None:
        self.arn = shapes.text(item, "TrailARN")
        self.home_region = shapes.region_name(item, "HomeRegion")
        self.is_multi_region = shapes.flag(item, "IsMultiRegionTrail")
        self.is_organization_trail = shapes.optional_flag(item, "IsOrganizationTrail")
        self.log_file_validation = shapes.optional_flag(item, "LogFileValidationEnabled")
        self.has_kms_key = shapes.optional_text(item, "KmsKeyId") is not None


class CloudTrailReads:
    """Reads the trails of all regions; each trail's details are read once, in its home region.

    Regions that name different homes for one trail have it read in each of them, and
    ``facts`` decides which of them is to be believed.
    """

    def __init__(self, session: AccountSession, reads: Reads) -> None:
        self._session = session
        self._reads = reads
        self._lock = threading.Lock()
        self._listings: dict[str, Slot[tuple[_Described, ...]]] = {}
        self._statuses: dict[tuple[str, str], Slot[TrailStatus]] = {}
        self._selectors: dict[tuple[str, str], Slot[tuple[EventSelector, ...]]] = {}

    def start(self, regions: Sequence[str]) -> None:
        """Ask every region for the trails it sees."""
        for region in regions:
            self._listings[region] = self._reads.start(
                DESCRIBE_TRAILS,
                partial(read_trails, self._session, region),
                self._follow,
            )

    def _follow(self, trails: Answer[tuple[_Described, ...]]) -> None:
        if isinstance(trails, (Unread, RegionDisabled)):
            return
        for trail in trails:
            self._start_details(trail)

    def _start_details(self, trail: _Described) -> None:
        """Every region shows a multi-region trail; the first answer starts the reads."""
        place = trail.arn, trail.home_region
        with self._lock:
            if place in self._statuses:
                return
            self._statuses[place] = self._reads.start(
                GET_TRAIL_STATUS, partial(read_status, self._session, trail)
            )
            self._selectors[place] = self._reads.start(
                GET_EVENT_SELECTORS, partial(read_selectors, self._session, trail)
            )

    def facts(self, scope: Fact[RegionScope]) -> CloudTrailFacts:
        """What was read of the trails by now."""
        # A copy: after the deadline, regions may still be joining.
        answers = {region: slot.answer for region, slot in list(self._listings.items())}
        within, regions = within_scope(scope, answers, DESCRIBE_TRAILS)
        copies: dict[str, dict[str, _Described]] = {}
        outcomes: dict[str, Unread | None] = {}
        for region, listing in regions.items():
            outcomes[region] = listing if isinstance(listing, Unread) else None
            for trail in () if isinstance(listing, Unread) else listing:
                copies.setdefault(trail.arn, {})[region] = trail
        trails = tuple(self._trail(copies[arn]) for arn in sorted(copies))
        return CloudTrailFacts(within, outcomes, trails)

    def _trail(self, copies: Mapping[str, _Described]) -> Trail:
        """One trail, from what each region in scope says about it."""
        described, is_agreed = settle_copies(copies)
        place = described.arn, described.home_region
        status: Fact[TrailStatus] = Unread(ErrorCode.MALFORMED, DESCRIBE_TRAILS)
        selectors: Fact[tuple[EventSelector, ...]] = Unread(ErrorCode.MALFORMED, DESCRIBE_TRAILS)
        if is_agreed:
            status = settled(self._statuses[place].answer, GET_TRAIL_STATUS)
            selectors = settled(self._selectors[place].answer, GET_EVENT_SELECTORS)
        return Trail(
            arn=described.arn,
            home_region=described.home_region,
            is_multi_region=described.is_multi_region,
            is_organization_trail=described.is_organization_trail,
            log_file_validation=described.log_file_validation,
            has_kms_key=described.has_kms_key,
            status=status,
            selectors=selectors,
        )


def settle_copies(copies: Mapping[str, _Described]) -> tuple[_Described, bool]:
    """The description of one trail to go by, and whether the regions leave no doubt about it.

    A trail is its home region's, and the copies elsewhere follow it: the copy of the region that
    is home by its own word counts, whatever the others say. Two such regions, or none and copies
    that differ, prove nothing.
    """
    at_home = [copy for region, copy in copies.items() if region == copy.home_region]
    believed = at_home or list(copies.values())
    is_agreed = len({(copy.home_region, copy.is_multi_region) for copy in believed}) == 1
    return believed[0], is_agreed


def read_trails(session: AccountSession, region: str) -> tuple[_Described, ...]:
    """The trails a region sees: its own and the shadows of multi-region ones."""
    client = session.client("cloudtrail", region)
    answer = client.describe_trails(includeShadowTrails=True)
    trails = tuple(
        _Described(item) for item in shapes.records(answer, "trailList", limit=_MOST_TRAILS)
    )
    shapes.without_repeats((trail.arn for trail in trails), "trails")
    return trails


def read_status(session: AccountSession, trail: _Described) -> TrailStatus | Unread:
    """Whether the trail is logging, and how its last delivery went."""
    client = session.client("cloudtrail", trail.home_region)
    try:
        answer = client.get_trail_status(Name=trail.arn)
    except ClientError as error:
        return _unless_out_of_reach(error, trail, GET_TRAIL_STATUS)
    return TrailStatus(
        is_logging=shapes.flag(answer, "IsLogging"),
        latest_delivery_at=shapes.optional_moment(answer, "LatestDeliveryTime"),
        latest_delivery_error=shapes.optional_text(answer, "LatestDeliveryError"),
    )


def read_selectors(
    session: AccountSession, trail: _Described
) -> tuple[EventSelector, ...] | Unread:
    """Which events the trail records."""
    client = session.client("cloudtrail", trail.home_region)
    try:
        answer = client.get_event_selectors(TrailName=trail.arn)
    except ClientError as error:
        return _unless_out_of_reach(error, trail, GET_EVENT_SELECTORS)
    if "EventSelectors" not in answer and "AdvancedEventSelectors" not in answer:
        message = "neither EventSelectors nor AdvancedEventSelectors were sent"
        raise MalformedAnswerError(message)
    return parse_selectors(answer)


def _unless_out_of_reach(error: ClientError, trail: _Described, action: str) -> Unread:
    """Name the two failures that only a trail can have; raise every other one again."""
    if error_code_of(error) in _NOT_OURS:
        if trail.is_organization_trail:
            return Unread(ErrorCode.DENIED, action)
        if error_code_of(error) == "TrailNotFound":
            # Deleted between the two calls: the next read tells.
            return Unread(ErrorCode.TRANSIENT, action)
    raise error
