"""Alerts: found, resolved and delivered, one organization after the other.

Finding and delivering are two transactions. The first stores what there is to say, so that a
crash or a sink that is down loses nothing; the second says it and notes that it was said.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from thirdsentry_pipeline.domain.alert_message import AlertEntry, AlertMessage, DeliveryError
from thirdsentry_pipeline.operations.freshness import CoverageNotBuiltError
from thirdsentry_pipeline.warehouse import alerts, episodes
from thirdsentry_pipeline.warehouse.connections import list_connections
from thirdsentry_pipeline.warehouse.organizations import get_organization
from thirdsentry_pipeline.warehouse.scope import live_organization_ids, organization_scope

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection as DatabaseConnection
    from sqlalchemy import Engine

    from thirdsentry_pipeline.domain.alert_message import AlertSink
    from thirdsentry_pipeline.warehouse.alerts import Alert

FIRST_RETRY = timedelta(seconds=45)
LONGEST_RETRY = timedelta(hours=1)
_MOST_DOUBLINGS = 10
_FAILURES_UNTIL_REST = 3
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AlertFailure:
    """What did not work for one organization; ``sink`` is ``None`` when it is not a sink's."""

    organization_id: str
    sink: str | None
    error: str


@dataclass(slots=True)
class AlertEvaluation:
    """What one evaluation did, in alerts.

    ``unseen`` opened and closed between two evaluations; ``delivered`` were taken by every sink;
    ``failed`` wait for their next attempt. ``stopped_after`` is the last organization when the
    time was over before the round was.
    """

    organizations: int = 0
    opened: int = 0
    unseen: int = 0
    resolved: int = 0
    delivered: int = 0
    failed: int = 0
    sinks: list[str] = field(default_factory=list)
    errors: list[AlertFailure] = field(default_factory=list)
    stopped_after: str | None = None

    def document(self) -> dict[str, Any]:
        """The JSON form."""
        return asdict(self)

    @property
    def sentence(self) -> str:
        """The counts in one line."""
        return (
            f"{self.organizations} organizations: {self.opened} alerts opened, "
            f"{self.resolved} resolved, {self.delivered} delivered, {self.failed} wait for a sink"
        )


class _Sinks:
    """The sinks of one evaluation; one that fails repeatedly rests until the next."""

    def __init__(self, sinks: Sequence[AlertSink]) -> None:
        self.all = sinks
        self._failures: Counter[str] = Counter()

    @property
    def are_resting(self) -> bool:
        return all(self.is_resting(sink) for sink in self.all)

    def is_resting(self, sink: AlertSink) -> bool:
        return self._failures[sink.name] >= _FAILURES_UNTIL_REST

    def send(self, sink: AlertSink, message: AlertMessage) -> DeliveryError | None:
        """Send, and remember how it went; returns what went wrong."""
        try:
            sink.send(message)
        except DeliveryError as error:
            self._failures[sink.name] += 1
            return error
        except Exception as error:  # noqa: BLE001 - a sink's bug must not cost the other sink's news
            self._failures[sink.name] += 1
            # Without its text or traceback: either may hold the sink's address.
            return DeliveryError(f"The sink {sink.name} failed ({type(error).__name__}).")
        self._failures[sink.name] = 0
        return None


def evaluate_alerts(
    pipeline: Engine,
    scheduler: Engine,
    sinks: Sequence[AlertSink],
    *,
    start_after: str | None = None,
    seconds: float | None = None,
    monotonic: Callable[[], float] = time.monotonic,
) -> AlertEvaluation:
    """Evaluate and deliver for every live organization, each in its own scope.

    With ``seconds`` no organization is begun after that time; ``start_after`` carries on behind
    the one where an earlier evaluation stopped. An organization's failure is noted and stays its
    own.

    Raises:
        CoverageNotBuiltError: dbt has not made the view of stale episodes yet.
    """
    give_up_at = None if seconds is None else monotonic() + seconds
    done = AlertEvaluation(sinks=[sink.name for sink in sinks], stopped_after=start_after)
    outlets = _Sinks(sinks)
    ids = live_organization_ids(scheduler)
    if start_after is not None:
        ids = [one for one in ids if one > start_after] + [one for one in ids if one <= start_after]
    for organization_id in ids:
        if give_up_at is not None and monotonic() >= give_up_at:
            break
        done.organizations += 1
        done.stopped_after = organization_id
        try:
            store_alerts(pipeline, organization_id, done)
            _deliver(pipeline, organization_id, outlets, done)
        except CoverageNotBuiltError:
            raise
        except Exception as error:  # noqa: BLE001 - one organization's bug is not another's
            _LOG.exception("alerts of organization %s could not be evaluated", organization_id)
            failure = AlertFailure(organization_id, None, f"not evaluated ({type(error).__name__})")
            done.errors.append(failure)
    else:
        done.stopped_after = None
    return done


def store_alerts(pipeline: Engine, organization_id: str, done: AlertEvaluation) -> None:
    """Open and resolve one organization's alerts, with their audit rows, in one transaction."""
    found = AlertEvaluation()
    with organization_scope(pipeline, organization_id) as database:
        if not episodes.episodes_are_built(database):
            message = "The coverage models are not built yet: run the job coverage_history."
            raise CoverageNotBuiltError(message)
        for alert in episodes.recovered_alerts(database):
            found.resolved += alerts.resolve_alert(database, alert)
        for episode in episodes.unknown_episodes(database):
            is_new = alerts.open_alert(
                database,
                episode.kind,
                episode.episode_key,
                connection_id=episode.connection_id,
                evidence_type=episode.evidence_type,
                opened_at=episode.opened_at,
                resolved_at=episode.resolved_at,
                detail=episode.detail,
            )
            if episode.resolved_at is None:
                found.opened += is_new
            else:
                found.unseen += is_new
    done.opened += found.opened
    done.unseen += found.unseen
    done.resolved += found.resolved


def _deliver(
    pipeline: Engine, organization_id: str, outlets: _Sinks, done: AlertEvaluation
) -> None:
    """Send what is due as one message per sink, while its rows are locked from other senders."""
    if outlets.are_resting:
        return
    with organization_scope(pipeline, organization_id) as database:
        due = alerts.claim_deliveries(database)
        if not due:
            return
        errors: list[DeliveryError] = []
        is_waiting = False
        for sink in outlets.all:
            pending = [alert for alert in due if sink.name not in alert.taken_by]
            if not pending:
                continue
            if outlets.is_resting(sink):
                is_waiting = True
                continue
            error = outlets.send(sink, message_of(database, organization_id, pending))
            if error is None:
                alerts.mark_taken(database, pending, sink.name)
            else:
                errors.append(error)
                done.errors.append(AlertFailure(organization_id, sink.name, str(error)))
        if errors:
            wait = retry_in(due, errors)
            sentence = " ".join(str(error) for error in errors)
            alerts.mark_undelivered(database, due, sentence, retry_in=wait)
        elif not is_waiting:
            alerts.mark_delivered(database, due)
    if errors or is_waiting:
        done.failed += len(due)
    else:
        done.delivered += len(due)


def message_of(
    database: DatabaseConnection, organization_id: str, due: Sequence[Alert]
) -> AlertMessage:
    """The organization's message about these alerts."""
    organization = get_organization(database)
    accounts = {one.connection_id: one for one in list_connections(database)}
    entries = []
    for alert in due:
        connection = accounts[alert.connection_id] if alert.connection_id else None
        entries.append(
            AlertEntry(
                alert_id=alert.alert_id,
                kind=alert.kind,
                connection_id=alert.connection_id,
                account_id=connection.account_id if connection else None,
                evidence_type=alert.evidence_type,
                opened_at=alert.opened_at,
                resolved_at=alert.resolved_at,
                is_revoked=connection is not None and connection.deleted_at is not None,
                detail=alert.detail,
            )
        )
    return AlertMessage(
        organization_id=organization_id,
        organization_name=organization.name if organization else organization_id,
        entries=entries,
    )


def retry_in(due: Sequence[Alert], errors: Sequence[DeliveryError]) -> timedelta:
    """Twice as long after each failure, at most an hour; longer only if a sink asked for it."""
    attempts = min(max(alert.delivery_attempts for alert in due), _MOST_DOUBLINGS)
    waits = [min(FIRST_RETRY * (1 << attempts), LONGEST_RETRY)]
    waits.extend(error.retry_in for error in errors if error.retry_in is not None)
    return max(waits)
