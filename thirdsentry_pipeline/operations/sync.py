"""One organization's sync: read every live connection's account, write each in one transaction.

AWS is read with no transaction open. A connection that fails costs no other connection
anything. Interrupted (Ctrl-C, SIGTERM, a cancelled Dagster run), the runs under way end as
failed before the interruption goes on its way.
"""

from __future__ import annotations

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from queue import SimpleQueue
from typing import TYPE_CHECKING

from thirdsentry_pipeline.domain.identifiers import parse_organization_id
from thirdsentry_pipeline.operations.interruption import Interruption, take
from thirdsentry_pipeline.operations.sync_connection import ConnectionReader
from thirdsentry_pipeline.operations.sync_results import ConnectionSync, OrganizationSync
from thirdsentry_pipeline.warehouse import connections
from thirdsentry_pipeline.warehouse.scope import organization_scope

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from datetime import date

    from thirdsentry_pipeline.domain.evidence import EvidenceType
    from thirdsentry_pipeline.operations.services import Services

CONCURRENT_CONNECTIONS = 4

logger = logging.getLogger(__name__)


def sync_organization(
    services: Services,
    organization_id: str,
    day: date,
    types: Sequence[EvidenceType],
    dagster_run_id: str,
    *,
    due_only: bool = False,
    on_progress: Callable[[ConnectionSync], None] | None = None,
    interruption: Interruption | None = None,
    room: AbstractContextManager[object] | None = None,
) -> OrganizationSync:
    """Read ``types`` in every live connection of the organization and record what was read.

    ``day`` is the partition's UTC day and is not checked here. ``on_progress`` is called in
    this thread as each connection ends. An organization without live connections gives a
    failed sync with ``no_live_connection``.

    With ``due_only`` (a schedule's run) a connection whose role was refused is left alone until
    its next attempt is due; it counts as not read, with no run of its own.

    ``interruption`` lets another thread end the sync; an account is read inside ``room``, which
    makes it wait while others take up all the places.
    """
    organization_id = parse_organization_id(organization_id)
    with organization_scope(services.pipeline, organization_id) as database:
        live = connections.list_connections(database, live_only=True)
    if not live:
        return OrganizationSync.without_connections(organization_id)
    now = services.clock()
    waiting = [
        one for one in live if due_only and one.next_attempt_at and one.next_attempt_at > now
    ]
    finished = [ConnectionSync.waiting(one) for one in waiting]
    for outcome in finished:
        logger.info("%s", outcome.sentence())
    due = [one for one in live if one not in waiting]
    reader = ConnectionReader(
        services,
        organization_id,
        day,
        tuple(types),
        dagster_run_id,
        interruption or Interruption(),
        room or nullcontext(),
    )
    pool = ThreadPoolExecutor(
        max_workers=min(CONCURRENT_CONNECTIONS, len(due)) or 1, thread_name_prefix="connection"
    )
    ended: SimpleQueue[Future[ConnectionSync]] = SimpleQueue()
    try:
        for one in due:
            pool.submit(reader.read, one).add_done_callback(ended.put)
        for _ in due:
            outcome = take(ended).result()
            finished.append(outcome)
            logger.info("%s", outcome.sentence())
            if on_progress is not None:
                on_progress(outcome)
    except BaseException:
        reader.interruption.stop()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    order = {one.connection_id: place for place, one in enumerate(live)}
    finished.sort(key=lambda outcome: order[outcome.connection_id])
    return OrganizationSync.of(organization_id, finished)
