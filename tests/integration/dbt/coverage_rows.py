"""Warehouse rows with the times a test wants, written as superuser past clock and row security."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from secrets import randbelow, token_hex
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from thirdsentry_pipeline.domain.evidence import EvidenceType

if TYPE_CHECKING:
    from collections.abc import Mapping

    import psycopg

STATE_IS_ITS_OBSERVATIONS = """
    insert into warehouse.evidence_state
    select
      o.organization_id, o.connection_id, o.evidence_type, good.evidence_id, good.verdict,
      good.fingerprint, good.true_at, o.observed_at, o.read_status, o.error_code
    from warehouse.evidence_observations as o
    left join lateral (
      select g.evidence_id, e.verdict, e.fingerprint,
        least(g.observed_at, g.source_generated_at) as true_at
      from warehouse.evidence_observations as g
      join warehouse.evidence as e using (organization_id, evidence_id)
      where g.connection_id = o.connection_id and g.evidence_type = o.evidence_type
      order by g.observed_at desc limit 1
    ) as good on true
    where o.connection_id = %s and o.evidence_type = %s
    order by o.observed_at desc limit 1
    on conflict (organization_id, connection_id, evidence_type) do update set
      (evidence_id, verdict, fingerprint, last_ok_at, last_attempt_at, last_attempt_status,
       last_error_code)
      = (excluded.evidence_id, excluded.verdict, excluded.fingerprint, excluded.last_ok_at,
         excluded.last_attempt_at, excluded.last_attempt_status, excluded.last_error_code)
"""


def hours_ago(hours: float) -> datetime:
    """A moment (UTC) before now."""
    return datetime.now(UTC) - timedelta(hours=hours)


@dataclass(frozen=True)
class Tenant:
    """One organization of the test's own; other tests' rows are other organizations'."""

    admin: psycopg.Connection[Any]
    organization_id: str

    @classmethod
    def add(cls, admin: psycopg.Connection[Any], created_at: datetime | None = None) -> Tenant:
        tenant = cls(admin, token_hex(12))
        admin.execute(
            "insert into warehouse.organizations (organization_id, name, created_at)"
            " values (%s, 'Acme', coalesce(%s, now()))",
            (tenant.organization_id, created_at),
        )
        admin.execute(
            "insert into warehouse.organization_data_keys"
            " (organization_id, key_version, kms_key_id, wrapped_key) values (%s, 1, 'k', '')",
            (tenant.organization_id,),
        )
        return tenant

    def connect(self, connected_at: datetime | None = None, hours: int | None = None) -> UUID:
        connection_id = uuid4()
        account_id = f"{randbelow(10**12):012}"
        self.admin.execute(
            "insert into warehouse.connections (organization_id, connection_id, account_id,"
            " role_arn, credential_blob, key_version, stale_after_hours, connected_at)"
            " values (%s, %s, %s, %s, '', 1, %s, coalesce(%s, now()))",
            (
                self.organization_id,
                connection_id,
                account_id,
                f"arn:aws:iam::{account_id}:role/reader",
                hours,
                connected_at,
            ),
        )
        return connection_id

    def revoke(self, connection_id: UUID, deleted_at: datetime | None = None) -> None:
        self.admin.execute(
            "update warehouse.connections set status = 'revoked', credential_blob = null,"
            " key_version = null, deleted_at = coalesce(%s, now()) where connection_id = %s",
            (deleted_at, connection_id),
        )

    def observe(
        self,
        connection_id: UUID,
        evidence_type: EvidenceType,
        observed_at: datetime,
        *,
        read_status: str = "ok",
        verdict: str = "pass",
        payload: Mapping[str, Any] | None = None,
    ) -> None:
        """One run with one read, and the state that follows from it."""
        run_id = uuid4()
        self.admin.execute(
            "insert into warehouse.connector_runs (organization_id, run_id, connection_id,"
            " account_id, partition_day, dagster_run_id, status, started_at, finished_at)"
            " select organization_id, %s, connection_id, account_id, %s, 'test', %s, %s, %s"
            " from warehouse.connections where connection_id = %s",
            (
                run_id,
                observed_at.date(),
                "succeeded" if read_status == "ok" else "failed",
                observed_at,
                observed_at,
                connection_id,
            ),
        )
        evidence_id = None
        if read_status == "ok":
            evidence_id = self._evidence(connection_id, run_id, evidence_type, verdict, payload)
        self.admin.execute(
            "insert into warehouse.evidence_observations (organization_id, run_id, connection_id,"
            " evidence_type, read_status, evidence_id, error_code, observed_at)"
            " values (%s, %s, %s, %s, %s, %s, %s, %s)",
            (
                self.organization_id,
                run_id,
                connection_id,
                evidence_type,
                read_status,
                evidence_id,
                None if read_status == "ok" else "denied",
                observed_at,
            ),
        )
        self.admin.execute(STATE_IS_ITS_OBSERVATIONS, (connection_id, evidence_type))

    def observe_all(self, connection_id: UUID, observed_at: datetime) -> None:
        """All seven types pass."""
        for evidence_type in EvidenceType:
            self.observe(connection_id, evidence_type, observed_at)

    def fill_every_mart(self) -> None:
        """An account with something stale, failing and open, and days of history to tell."""
        account = self.connect(connected_at=hours_ago(99))
        self.observe_all(account, hours_ago(98))
        self.observe(
            account,
            EvidenceType.MFA_COVERAGE,
            hours_ago(1),
            verdict="fail",
            payload={
                "users_with_password": 2,
                "users_with_mfa": 1,
                "users_without_mfa": [f"user of {self.organization_id}"],
            },
        )
        finding = {
            "region": "eu-west-1",
            "finding_id": self.organization_id,
            "finding_type": "Trojan:EC2/DNSDataExfiltration",
            "severity": 8.0,
            "first_seen_at": "2026-03-01T00:00:00Z",
        }
        self.observe(
            account,
            EvidenceType.GUARDDUTY_FINDINGS,
            hours_ago(1),
            verdict="fail",
            payload={"findings": [finding]},
        )

    def _evidence(
        self,
        connection_id: UUID,
        run_id: UUID,
        evidence_type: EvidenceType,
        verdict: str,
        payload: Mapping[str, Any] | None,
    ) -> UUID:
        content = json.dumps({"of": f"{connection_id} {run_id} {evidence_type}", **(payload or {})})
        evidence_id = uuid4()
        self.admin.execute(
            "insert into warehouse.evidence (organization_id, evidence_id, connection_id,"
            " account_id, evidence_type, subject, verdict, fingerprint, payload,"
            " payload_canonical, schema_version, first_run_id)"
            " select organization_id, %s, connection_id, account_id, %s, 'account', %s, %s, %s, %s,"
            " 1, %s from warehouse.connections where connection_id = %s",
            (
                evidence_id,
                evidence_type,
                verdict,
                "fp1:" + hashlib.sha256(content.encode()).hexdigest(),
                content,
                content,
                run_id,
                connection_id,
            ),
        )
        return evidence_id
