"""One connection's run: run row, read AWS, one transaction with everything that was read."""

from __future__ import annotations

import logging
import time
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import uuid4

from sqlalchemy.exc import OperationalError, SQLAlchemyError

from thirdsentry_pipeline.aws.collect import collect_account
from thirdsentry_pipeline.aws.role_session import open_role_session
from thirdsentry_pipeline.domain.errors import ConfigurationError, RunFailedError
from thirdsentry_pipeline.domain.evidence import ErrorCode, ReadStatus
from thirdsentry_pipeline.domain.fingerprint import fingerprint_of, with_canonical_payload
from thirdsentry_pipeline.domain.identifiers import RoleArn
from thirdsentry_pipeline.operations.credentials import SealedCredential, open_external_id
from thirdsentry_pipeline.operations.interruption import Interruption
from thirdsentry_pipeline.operations.sync_results import ConnectionSync, SyncStatus, TypeResult
from thirdsentry_pipeline.warehouse import connections, data_keys, evidence, runs
from thirdsentry_pipeline.warehouse.database import is_deadlock, is_lost_connection
from thirdsentry_pipeline.warehouse.scope import organization_scope

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from datetime import date
    from uuid import UUID

    from thirdsentry_pipeline.aws.collect import CollectedAccount
    from thirdsentry_pipeline.domain.evidence import EvidenceType, Reading
    from thirdsentry_pipeline.operations.services import Services
    from thirdsentry_pipeline.warehouse.connections import Connection
    from thirdsentry_pipeline.warehouse.evidence import FingerprintedReading, RecordedReading

ACCOUNT_SUBJECT = "account"
_RECORD_ATTEMPTS = 3
_RECONNECT_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ConnectionReader:
    """Reads connections of one organization for one partition day and records the outcome."""

    services: Services
    organization_id: str
    day: date
    types: tuple[EvidenceType, ...]
    dagster_run_id: str
    interruption: Interruption = field(default_factory=Interruption)
    room: AbstractContextManager[object] = field(default_factory=nullcontext)

    def read(self, connection: Connection) -> ConnectionSync:
        """Run one connection to its end; every failure becomes an outcome, none is raised."""
        with self.room:
            return self._read(connection)

    def _read(self, connection: Connection) -> ConnectionSync:
        run_id = uuid4()
        started = time.monotonic()
        calls = _Calls()
        sealed: SealedCredential | None = None
        try:
            self.interruption.check()
            sealed = self._start(connection, run_id)
            collected = self._collect(connection, run_id, sealed, calls)
            self.interruption.check()
            evidence_results = self._record(connection, run_id, collected)
        except RunFailedError as failure:
            logger.warning("account %s: %s", connection.account_id, failure)
            code = failure.code
        except ConfigurationError as failure:
            logger.error("account %s: %s", connection.account_id, failure)  # noqa: TRY400 - it is one sentence
            code = ErrorCode.KEY_UNAVAILABLE
        except SQLAlchemyError as failure:
            # Its message may hold a statement; the class says enough to look further.
            logger.error("account %s: %s", connection.account_id, type(failure).__name__)  # noqa: TRY400 - same
            code = ErrorCode.TRANSIENT
        except Exception as failure:  # noqa: BLE001 - one connection's bug must not cost the others
            logger.error("account %s: %s", connection.account_id, type(failure).__name__)  # noqa: TRY400 - a traceback may show a secret
            code = ErrorCode.BUG
        else:
            return ConnectionSync(
                connection_id=connection.connection_id,
                account_id=connection.account_id,
                run_id=run_id,
                status=SyncStatus.of(
                    result.read_status is ReadStatus.OK for result in evidence_results.values()
                ),
                error_code=_shared_error(evidence_results),
                evidence=evidence_results,
                api_calls=collected.api_calls,
                throttles=collected.throttles,
                seconds=time.monotonic() - started,
            )
        if sealed is not None:
            self._fail(connection, run_id, code, calls.made, sealed)
        return ConnectionSync(
            connection_id=connection.connection_id,
            account_id=connection.account_id,
            run_id=None if sealed is None else run_id,
            status=SyncStatus.FAILED,
            error_code=code,
            evidence={},
            api_calls=calls.made,
            seconds=time.monotonic() - started,
        )

    def _start(self, connection: Connection, run_id: UUID) -> SealedCredential:
        """Transaction 1: the run row, and the sealed external id with the key that opens it."""
        with organization_scope(self.services.pipeline, self.organization_id) as database:
            runs.start_run(
                database,
                run_id=run_id,
                connection_id=connection.connection_id,
                partition_day=self.day,
                dagster_run_id=self.dagster_run_id,
            )
            blob, version = connections.credential_blob(database, connection.connection_id)
            return SealedCredential(blob, version, data_keys.data_key(database, version))

    def _collect(
        self, connection: Connection, run_id: UUID, sealed: SealedCredential, calls: _Calls
    ) -> CollectedAccount:
        """Open the role and read, with no transaction open; the session ends with this call."""
        external_id = open_external_id(
            self.services, self.organization_id, connection.connection_id, sealed
        )
        transport = self.services.platform.new_transport()
        with (
            self.interruption.watching(transport),
            open_role_session(
                self.services.platform,
                RoleArn.parse(connection.role_arn),
                external_id,
                self.organization_id,
                run_id,
                types=self.types,
                transport=transport,
                sleep=self.interruption.sleep,
                clock=self.services.clock,
            ) as session,
        ):
            try:
                return collect_account(
                    session,
                    self.types,
                    waived_regions=connection.waived_regions,
                    sleep=self.interruption.sleep,
                )
            finally:
                calls.made = session.calls.api_calls

    def _record(
        self, connection: Connection, run_id: UUID, collected: CollectedAccount
    ) -> dict[EvidenceType, TypeResult]:
        """Transaction 2: evidence, observations, state, run status and audit together."""
        readings = [
            self._fingerprinted(connection, collected.readings[kind]) for kind in self.types
        ]
        recorded = self._written(connection, run_id, collected, readings)
        stored = {one.evidence_type: one for one in recorded}
        return {
            one.reading.evidence_type: _result(one, stored[one.reading.evidence_type])
            for one in readings
        }

    def _written(
        self,
        connection: Connection,
        run_id: UUID,
        collected: CollectedAccount,
        readings: Sequence[FingerprintedReading],
    ) -> list[RecordedReading]:
        """Write the readings once, also when the transaction lost to another or to the network.

        What was read took many calls; the transaction took a moment.
        """
        waits = iter(_RECONNECT_SECONDS)
        is_uncertain = False
        attempt = 0
        while True:
            attempt += 1
            try:
                with organization_scope(self.services.pipeline, self.organization_id) as database:
                    recorded = None
                    if is_uncertain:
                        recorded = evidence.recorded_before(
                            database, run_id=run_id, connection_id=connection.connection_id
                        )
                    if recorded is None:
                        recorded = evidence.record_readings(
                            database,
                            run_id=run_id,
                            connection_id=connection.connection_id,
                            account_id=connection.account_id,
                            readings=readings,
                            api_calls=collected.api_calls,
                            throttles=collected.throttles,
                        )
            except OperationalError as failure:
                if is_lost_connection(failure):
                    is_uncertain = True
                    wait = next(waits, None)
                    if wait is None:
                        raise
                    self.interruption.sleep(wait)
                elif attempt >= _RECORD_ATTEMPTS or not is_deadlock(failure):
                    raise
            else:
                return recorded

    def _fingerprinted(self, connection: Connection, reading: Reading) -> FingerprintedReading:
        reading = with_canonical_payload(reading)
        fingerprint = None
        if reading.verdict is not None and reading.payload is not None:
            fingerprint = fingerprint_of(
                organization_id=self.organization_id,
                account_id=connection.account_id,
                evidence_type=reading.evidence_type,
                subject=ACCOUNT_SUBJECT,
                verdict=reading.verdict,
                payload=reading.payload,
            )
        return evidence.FingerprintedReading(reading, ACCOUNT_SUBJECT, fingerprint)

    def _fail(
        self,
        connection: Connection,
        run_id: UUID,
        code: ErrorCode,
        api_calls: int,
        tried: SealedCredential,
    ) -> None:
        """A transaction of its own: run status, audit row and, for a closed role, the status."""
        try:
            with organization_scope(self.services.pipeline, self.organization_id) as database:
                runs.fail_run(database, run_id, code, api_calls)
                if code is ErrorCode.ASSUME_ROLE_DENIED:
                    connections.mark_needs_reauth(
                        database, connection.connection_id, tried_blob=tried.blob, run_id=run_id
                    )
        except SQLAlchemyError as failure:
            # The run row stays `running`; the connection's next run marks it abandoned.
            logger.error(  # noqa: TRY400 - its message may hold a statement
                "account %s: the failed run could not be recorded (%s)",
                connection.account_id,
                type(failure).__name__,
            )


@dataclass(slots=True)
class _Calls:
    """API calls made so far, so that a failed run can say its number."""

    made: int = 0


def _result(one: FingerprintedReading, stored: RecordedReading) -> TypeResult:
    reading = one.reading
    return TypeResult(
        read_status=reading.read_status,
        verdict=reading.verdict,
        fingerprint=one.fingerprint.value if one.fingerprint else None,
        is_new=stored.is_new,
        error_code=reading.error_code,
        regions_unread=tuple(reading.regions_unread),
    )


def _shared_error(results: dict[EvidenceType, TypeResult]) -> ErrorCode | None:
    """The error code of a run in which nothing was read, when all types name the same one."""
    codes = {result.error_code for result in results.values()}
    return codes.pop() if len(codes) == 1 else None
