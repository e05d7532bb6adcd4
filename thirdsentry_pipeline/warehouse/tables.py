"""The warehouse's tables as SQLAlchemy Core sees them: the columns Python reads and writes.

The migrations are the truth (constraints, defaults, policies, grants); a test compares these
columns with the database. ``organization_id`` fills itself from the transaction's scope.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    DateTime,
    FetchedValue,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    Uuid,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

if TYPE_CHECKING:
    from sqlalchemy.types import TypeEngine

SCHEMA = "warehouse"
metadata = MetaData(schema=SCHEMA)


def _time(name: str) -> Column[object]:
    return Column(name, DateTime(timezone=True))


def _filled(name: str, kind: TypeEngine[Any]) -> Column[Any]:
    """A part of the key that the database fills when it is left out."""
    return Column(name, kind, FetchedValue(), primary_key=True, autoincrement=False)


organizations = Table(
    "organizations",
    metadata,
    Column("organization_id", Text, FetchedValue(), primary_key=True),
    Column("name", Text),
    Column("retention_days", Integer),
    _time("created_at"),
    _time("deleted_at"),
)

organization_data_keys = Table(
    "organization_data_keys",
    metadata,
    Column("organization_id", Text, FetchedValue(), primary_key=True),
    Column("key_version", Integer, primary_key=True, autoincrement=False),
    Column("kms_key_id", Text),
    Column("wrapped_key", LargeBinary),
    _time("created_at"),
)

pending_external_ids = Table(
    "pending_external_ids",
    metadata,
    Column("organization_id", Text, FetchedValue(), primary_key=True),
    Column("credential_blob", LargeBinary),
    Column("key_version", Integer),
    _time("created_at"),
)

connections = Table(
    "connections",
    metadata,
    Column("organization_id", Text, FetchedValue(), primary_key=True),
    Column("connection_id", Uuid, primary_key=True),
    Column("connector", Text),
    Column("account_id", Text),
    Column("role_arn", Text),
    Column("status", Text),
    Column("credential_blob", LargeBinary),
    Column("key_version", Integer),
    Column("stale_after_hours", Integer),
    Column("waived_regions", ARRAY(Text)),
    Column("waived_region_reasons", JSONB),
    Column("failed_attempts", Integer),
    _time("next_attempt_at"),
    _time("connected_at"),
    _time("deleted_at"),
)

connector_runs = Table(
    "connector_runs",
    metadata,
    Column("organization_id", Text, FetchedValue(), primary_key=True),
    Column("run_id", Uuid, primary_key=True),
    Column("connection_id", Uuid),
    Column("account_id", Text),
    Column("partition_day", Date),
    Column("dagster_run_id", Text),
    Column("worker", Text),
    Column("status", Text),
    Column("error_code", Text),
    Column("api_calls", Integer),
    Column("throttles", Integer),
    _time("started_at"),
    _time("finished_at"),
)

evidence = Table(
    "evidence",
    metadata,
    Column("organization_id", Text, FetchedValue(), primary_key=True),
    Column("evidence_id", Uuid, FetchedValue(), primary_key=True),
    Column("connection_id", Uuid),
    Column("account_id", Text),
    Column("evidence_type", Text),
    Column("subject", Text),
    Column("verdict", Text),
    Column("fingerprint", Text),
    Column("payload", JSONB),
    Column("payload_canonical", Text),
    Column("schema_version", Integer),
    Column("first_run_id", Uuid),
    _time("first_observed_at"),
)

evidence_observations = Table(
    "evidence_observations",
    metadata,
    Column("organization_id", Text, FetchedValue(), primary_key=True),
    Column("run_id", Uuid, primary_key=True),
    Column("connection_id", Uuid, primary_key=True),
    Column("evidence_type", Text, primary_key=True),
    Column("read_status", Text),
    Column("evidence_id", Uuid),
    Column("error_code", Text),
    Column("regions_unread", ARRAY(Text)),
    _time("source_generated_at"),
    _time("observed_at"),
)

evidence_state = Table(
    "evidence_state",
    metadata,
    Column("organization_id", Text, FetchedValue(), primary_key=True),
    Column("connection_id", Uuid, primary_key=True),
    Column("evidence_type", Text, primary_key=True),
    Column("evidence_id", Uuid),
    Column("verdict", Text),
    Column("fingerprint", Text),
    _time("last_ok_at"),
    _time("last_attempt_at"),
    Column("last_attempt_status", Text),
    Column("last_error_code", Text),
)

audit_heads = Table(
    "audit_heads",
    metadata,
    Column("organization_id", Text, FetchedValue(), primary_key=True),
    Column("seq", BigInteger),
    Column("row_hash", Text),
)

audit_log = Table(
    "audit_log",
    metadata,
    Column("organization_id", Text, FetchedValue(), primary_key=True),
    Column("seq", BigInteger, FetchedValue(), primary_key=True, autoincrement=False),
    _time("occurred_at"),
    Column("actor", Text),
    Column("db_user", Text),
    Column("action", Text),
    Column("connection_id", Uuid),
    Column("run_id", Uuid),
    Column("detail", JSONB),
    Column("prev_hash", Text),
    Column("row_hash", Text),
)

assessments = Table(
    "assessments",
    metadata,
    Column("organization_id", Text, FetchedValue(), primary_key=True),
    _filled("assessment_id", Uuid()),
    Column("title", Text),
    Column("status", Text),
    _time("created_at"),
    Column("created_by", Text),
    _time("approved_at"),
    Column("approved_by", Text),
)

assessment_evidence = Table(
    "assessment_evidence",
    metadata,
    Column("organization_id", Text, FetchedValue(), primary_key=True),
    Column("assessment_id", Uuid, primary_key=True),
    Column("evidence_id", Uuid, primary_key=True),
    _time("attached_at"),
    Column("attached_by", Text),
)

alerts = Table(
    "alerts",
    metadata,
    Column("organization_id", Text, FetchedValue(), primary_key=True),
    _filled("alert_id", Uuid()),
    Column("kind", Text),
    Column("episode_key", Text),
    Column("connection_id", Uuid),
    Column("evidence_type", Text),
    _time("opened_at"),
    _time("resolved_at"),
    _time("notified_at"),
    _time("resolution_notified_at"),
    Column("delivery_attempts", Integer),
    _time("next_delivery_at"),
    Column("last_delivery_error", Text),
    Column("taken_by", ARRAY(Text)),
    Column("detail", JSONB),
)

bi_logins = Table(
    "bi_logins",
    metadata,
    Column("organization_id", Text, FetchedValue(), primary_key=True),
    Column("login", Text, primary_key=True),
    Column("reader_role", Text),
    _time("granted_at"),
    Column("granted_by", Text),
    _time("revoked_at"),
)
