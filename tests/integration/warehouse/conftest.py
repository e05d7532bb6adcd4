"""Organizations, connections and readings as the warehouse tests need them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, Engine, text

from thirdsentry_pipeline.domain.evidence import (
    ErrorCode,
    EvidenceType,
    Reading,
    ReadStatus,
    Verdict,
)
from thirdsentry_pipeline.domain.fingerprint import Fingerprint
from thirdsentry_pipeline.warehouse import (
    assessments,
    connections,
    data_keys,
    evidence,
    organizations,
    runs,
)
from thirdsentry_pipeline.warehouse.evidence import FingerprintedReading, RecordedReading
from thirdsentry_pipeline.warehouse.scope import organization_scope

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from tests.databases import WarehouseDatabase

DAY = date(2026, 3, 2)
ACCOUNT = "111111111111"


def ok(
    evidence_type: EvidenceType = EvidenceType.ROOT_MFA,
    verdict: Verdict = Verdict.PASS,
    source_generated_at: datetime | None = None,
    **payload: Any,
) -> FingerprintedReading:
    """A proven reading; the same arguments always give the same fingerprint."""
    canonical = json.dumps([evidence_type, verdict, payload], sort_keys=True).encode()
    return FingerprintedReading(
        Reading(
            evidence_type,
            ReadStatus.OK,
            verdict,
            payload,
            source_generated_at=source_generated_at,
        ),
        "account",
        Fingerprint("fp1:" + hashlib.sha256(canonical).hexdigest(), canonical),
    )


ALL_OK = tuple(ok(kind, note="same") for kind in EvidenceType)
"""One good reading of every type, the same each time."""


def denied(evidence_type: EvidenceType = EvidenceType.ROOT_MFA) -> FingerprintedReading:
    reading = Reading(evidence_type, ReadStatus.DENIED, error_code=ErrorCode.DENIED)
    return FingerprintedReading(reading, "account", None)


@dataclass
class Tenant:
    """An organization with one connection."""

    engine: Engine
    organization_id: str
    connection_id: UUID

    def scope(self) -> AbstractContextManager[Connection]:
        return organization_scope(self.engine, self.organization_id)

    def start(self, dagster_run_id: str = "dagster", connection_id: UUID | None = None) -> UUID:
        run_id = uuid4()
        with self.scope() as c:
            runs.start_run(
                c,
                run_id=run_id,
                connection_id=connection_id or self.connection_id,
                partition_day=DAY,
                dagster_run_id=dagster_run_id,
            )
        return run_id

    def record(self, run_id: UUID, *readings: FingerprintedReading) -> list[RecordedReading]:
        with self.scope() as c:
            return self.record_in(c, run_id, *readings)

    def record_in(
        self, c: Connection, run_id: UUID, *readings: FingerprintedReading
    ) -> list[RecordedReading]:
        return evidence.record_readings(
            c,
            run_id=run_id,
            connection_id=self.connection_id,
            account_id=ACCOUNT,
            readings=readings,
            api_calls=3,
            throttles=0,
        )

    def sync(self, *readings: FingerprintedReading) -> list[RecordedReading]:
        return self.record(self.start(), *readings)

    def rows(self, query: str, **parameters: Any) -> list[Any]:
        with self.scope() as c:
            return list(c.execute(text(query), parameters))

    def connect(self, account_id: str = ACCOUNT) -> UUID:
        connection_id = uuid4()
        with self.scope() as c:
            connections.insert_connection(
                c,
                connection_id=connection_id,
                role_arn=f"arn:aws:iam::{account_id}:role/ThirdSentry",
                account_id=account_id,
                credential_blob=b"sealed",
                key_version=1,
            )
        return connection_id


@pytest.fixture
def admin(clean_database: WarehouseDatabase) -> Engine:
    """The superuser, whom row-level security does not bind."""
    return clean_database.engine("admin")


def make_tenant(database: WarehouseDatabase, organization_id: str) -> Tenant:
    tenant = Tenant(database.engine("pipeline"), organization_id, uuid4())
    with tenant.scope() as c:
        organizations.add_organization(c, organization_id, f"Organization {organization_id[0]}")
        data_keys.insert_data_key(c, version=1, kms_key_id="key", wrapped_key=b"wrapped")
    tenant.connection_id = tenant.connect()
    return tenant


@pytest.fixture
def tenant(clean_database: WarehouseDatabase) -> Tenant:
    return make_tenant(clean_database, "a" * 24)


@pytest.fixture
def other_tenant(clean_database: WarehouseDatabase) -> Tenant:
    return make_tenant(clean_database, "b" * 24)


def draft_with_evidence(tenant: Tenant) -> tuple[UUID, UUID]:
    """A draft assessment and the evidence it holds."""
    evidence_id = tenant.sync(ok(note="held"))[0].evidence_id
    assert evidence_id is not None
    with tenant.scope() as c:
        assessment_id = assessments.create_assessment(c, "SOC 2, first half", actor="zoe")
        assert assessments.attach(c, assessment_id, [evidence_id], actor="zoe") == 1
    return assessment_id, evidence_id
