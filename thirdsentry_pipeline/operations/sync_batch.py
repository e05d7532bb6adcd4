"""The syncs of several organizations side by side, each as if it were alone.

Every organization keeps its own scope, role sessions, runs and transactions; they share the
process and the number of accounts that are read at once.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from queue import SimpleQueue
from threading import BoundedSemaphore
from typing import TYPE_CHECKING

from thirdsentry_pipeline.operations.cores import keep_to_one_core
from thirdsentry_pipeline.operations.interruption import Interruption, take
from thirdsentry_pipeline.operations.sync import sync_organization

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence
    from datetime import date

    from thirdsentry_pipeline.domain.evidence import EvidenceType
    from thirdsentry_pipeline.operations.services import Services
    from thirdsentry_pipeline.operations.sync_results import OrganizationSync

ACCOUNTS_AT_ONCE = 12
"""Enough to wait for AWS in one while another is worked on; more only share the same cores."""

logger = logging.getLogger(__name__)


def sync_organizations(
    services: Services,
    partitions: Sequence[tuple[date, str]],
    types: Sequence[EvidenceType],
    dagster_run_id: str,
    *,
    due_only: bool = False,
    at_once: int = ACCOUNTS_AT_ONCE,
) -> Generator[tuple[date, str, OrganizationSync]]:
    """Sync days of organizations, no more than ``at_once`` accounts at a time.

    Each is yielded in the caller's thread as it ends. Days of one organization follow each
    other. Closed or interrupted, the runs under way end as failed before this returns.

    Raises:
        Exception: what the first organization that could not even be begun ran into, when all
            the others have been yielded.
    """
    if len(partitions) == 1:
        ((day, organization_id),) = partitions
        yield (
            day,
            organization_id,
            sync_organization(
                services, organization_id, day, types, dagster_run_id, due_only=due_only
            ),
        )
        return
    days: dict[str, list[date]] = {}
    for day, organization_id in partitions:
        days.setdefault(organization_id, []).append(day)
    batch = _Batch(
        services,
        tuple(types),
        dagster_run_id,
        due_only,
        BoundedSemaphore(at_once),
        {organization_id: Interruption() for organization_id in days},
    )
    failures: list[Exception] = []
    pool = ThreadPoolExecutor(
        min(at_once, len(days)),
        thread_name_prefix="organization",
        # What they start inherits it: the threads of connections and those that read.
        initializer=keep_to_one_core,
    )
    try:
        for organization_id, own_days in days.items():
            pool.submit(batch.sync, organization_id, own_days)
        for _ in partitions:
            day, organization_id, outcome = take(batch.ended)
            if isinstance(outcome, Exception):
                logger.error("organization %s: %s", organization_id, type(outcome).__name__)
                failures.append(outcome)
            else:
                yield day, organization_id, outcome
    finally:
        for interruption in batch.interruptions.values():
            interruption.stop()
        pool.shutdown(wait=True, cancel_futures=True)
    if failures:
        raise failures[0]


@dataclass(frozen=True, slots=True)
class _Batch:
    """What the organizations of a batch share: nothing that belongs to one of them."""

    services: Services
    types: tuple[EvidenceType, ...]
    dagster_run_id: str
    due_only: bool
    accounts: BoundedSemaphore
    interruptions: Mapping[str, Interruption]
    ended: SimpleQueue[tuple[date, str, OrganizationSync | Exception]] = field(
        default_factory=SimpleQueue
    )

    def sync(self, organization_id: str, days: Sequence[date]) -> None:
        """One organization's days, one after the other; every end is put into ``ended``."""
        for day in days:
            outcome: OrganizationSync | Exception
            try:
                outcome = sync_organization(
                    self.services,
                    organization_id,
                    day,
                    self.types,
                    self.dagster_run_id,
                    due_only=self.due_only,
                    interruption=self.interruptions[organization_id],
                    room=self.accounts,
                )
            except Exception as failure:  # noqa: BLE001 - raised when the neighbours are through
                outcome = failure
            self.ended.put((day, organization_id, outcome))
