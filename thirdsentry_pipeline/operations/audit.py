"""Anchoring the audit logs outside of the database, and holding them against the anchors."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from thirdsentry_pipeline.aws.anchors import AnchorBucket, AnchorExistsError, AnchorRecord
from thirdsentry_pipeline.domain.errors import ConfigurationError, ThirdSentryError
from thirdsentry_pipeline.domain.time import utc_now
from thirdsentry_pipeline.warehouse.audit_chain import Anchor, ChainReport, verify_chain
from thirdsentry_pipeline.warehouse.organizations import get_organization
from thirdsentry_pipeline.warehouse.scope import live_organization_ids, organization_scope

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sqlalchemy import Engine

    from thirdsentry_pipeline.domain.time import Clock

_ORGANIZATIONS_AT_ONCE = 4


class BrokenLogError(ThirdSentryError):
    """A log is not what was written; an anchor of it would say otherwise."""


@dataclass(frozen=True, slots=True)
class AnchorOutcome:
    """What anchoring one organization came to; ``problem`` is why it has no new anchor.

    ``seq`` is the row that is anchored now, 0 when there is none. ``may_help`` tells whether
    trying again may.
    """

    organization_id: str
    seq: int = 0
    is_new: bool = False
    problem: str | None = None
    may_help: bool = False


@dataclass(frozen=True, slots=True)
class Verification:
    """An organization's recomputed log; ``anchors`` is how many it was held against.

    ``anchors`` is ``None`` when it was held against none, ``anchor_problem`` why not although
    a bucket is configured.
    """

    organization_id: str
    chain: ChainReport
    anchors: int | None
    anchor_problem: str | None = None


def anchor_organizations(
    pipeline: Engine, scheduler: Engine, bucket: AnchorBucket, *, clock: Clock = utc_now
) -> list[AnchorOutcome]:
    """Anchor every live organization's log; one that fails costs no other its anchor."""
    anchor = partial(_anchor_or_problem, pipeline, bucket=bucket, clock=clock)
    with ThreadPoolExecutor(_ORGANIZATIONS_AT_ONCE) as pool:
        return list(pool.map(anchor, live_organization_ids(scheduler)))


def _anchor_or_problem(
    pipeline: Engine, organization_id: str, *, bucket: AnchorBucket, clock: Clock
) -> AnchorOutcome:
    try:
        return anchor_organization(pipeline, organization_id, bucket, clock=clock)
    except (BrokenLogError, ConfigurationError) as error:
        return AnchorOutcome(organization_id, problem=str(error))
    except ThirdSentryError as error:
        return AnchorOutcome(organization_id, problem=str(error), may_help=True)
    except SQLAlchemyError as error:
        problem = f"The audit log of {organization_id} could not be read ({type(error).__name__})."
        return AnchorOutcome(organization_id, problem=problem, may_help=True)


def anchor_organization(
    pipeline: Engine, organization_id: str, bucket: AnchorBucket, *, clock: Clock = utc_now
) -> AnchorOutcome:
    """Write the last row's hash to the bucket, if the log is intact and has grown.

    Raises:
        BrokenLogError: the log does not verify, against the newest anchor too.
        ThirdSentryError: the bucket could not be used.
    """
    newest = bucket.read_newest(organization_id)
    known = [] if newest is None else [newest]
    with organization_scope(pipeline, organization_id) as c:
        chain = verify_chain(c, anchors_of(known), clock=clock)
        organization = get_organization(c)
    if not chain.is_intact:
        raise BrokenLogError(broken_sentence(organization_id, chain))
    if chain.last_at is None or organization is None:
        return AnchorOutcome(organization_id)
    if newest is not None and newest.seq == chain.seq:
        return AnchorOutcome(organization_id, chain.seq)
    window = timedelta(days=organization.retention_days)
    now = clock()
    record = AnchorRecord(
        organization_id=organization_id,
        seq=chain.seq,
        row_hash=chain.row_hash,
        anchored_at=now,
        kept_until=chain.last_at + window,
    )
    try:
        bucket.write(record, locked_until=lock_end(now, window))
    except AnchorExistsError:
        return _anchored_by_another(bucket, record)
    return AnchorOutcome(organization_id, chain.seq, is_new=True)


def lock_end(now: datetime, window: timedelta) -> datetime:
    """When the lock ends (UTC): an anchor outlasts the row it names, and S3 wants a future."""
    return now + max(window, timedelta(days=1))


def _anchored_by_another(bucket: AnchorBucket, record: AnchorRecord) -> AnchorOutcome:
    """Another process was first; what it wrote must say the same."""
    for other in bucket.read_all(record.organization_id):
        if other.seq == record.seq:
            if other.row_hash == record.row_hash:
                return AnchorOutcome(record.organization_id, record.seq)
            message = (
                f"The audit log of organization {record.organization_id} is broken at sequence "
                f"number {record.seq}: the row is not the one that was anchored."
            )
            raise BrokenLogError(message)
    message = f"Row {record.seq} is being anchored by another process; try again."
    raise ThirdSentryError(message)


def verify_organization(
    pipeline: Engine,
    organization_id: str,
    bucket: AnchorBucket | None,
    *,
    clock: Clock = utc_now,
) -> Verification:
    """Recompute an organization's chain in Python and hold it against its anchors."""
    # Before the log: what is anchored meanwhile is then in the log that is read.
    records: list[AnchorRecord] | None = None
    anchor_problem = None
    if bucket is not None:
        try:
            records = bucket.read_all(organization_id)
        except ThirdSentryError as error:
            anchor_problem = str(error)
    with organization_scope(pipeline, organization_id) as c:
        chain = verify_chain(c, anchors_of(records or ()), clock=clock)
    return Verification(
        organization_id, chain, None if records is None else len(records), anchor_problem
    )


def anchors_of(records: Iterable[AnchorRecord]) -> list[Anchor]:
    """The records as the chain is compared with them."""
    return [Anchor(one.seq, one.row_hash, one.kept_until) for one in records]


def broken_sentence(organization_id: str, chain: ChainReport) -> str:
    """Which organization's log is broken, where, and what is wrong there."""
    return (
        f"The audit log of organization {organization_id} is broken at sequence number "
        f"{chain.broken_seq}: {chain.problem}."
    )
