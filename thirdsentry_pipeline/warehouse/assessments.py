"""Assessments: a draft collects evidence; approved, it is frozen with everything it holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from psycopg import errors
from sqlalchemy import func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from thirdsentry_pipeline.domain.errors import InputError, ThirdSentryError
from thirdsentry_pipeline.warehouse import audit
from thirdsentry_pipeline.warehouse.refusals import refusals_as_sentences
from thirdsentry_pipeline.warehouse.tables import (
    assessment_evidence,
    assessments,
    connections,
    evidence,
    evidence_state,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Connection as DatabaseConnection

_REFUSALS: dict[type[errors.Error], str] = {
    errors.LockNotAvailable: "The assessment is being changed by someone else; try again.",
    errors.ForeignKeyViolation: "The evidence was pruned meanwhile; nothing was attached.",
}


@dataclass(frozen=True, slots=True)
class AttachedEvidence:
    """One piece of evidence an assessment holds; times in UTC."""

    evidence_id: UUID
    evidence_type: str
    account_id: str
    verdict: str
    fingerprint: str
    first_observed_at: datetime
    attached_at: datetime
    attached_by: str


@dataclass(frozen=True, slots=True)
class Assessment:
    """An assessment and its evidence, in order of attachment; times in UTC."""

    organization_id: str
    assessment_id: UUID
    title: str
    status: str
    created_at: datetime
    created_by: str
    approved_at: datetime | None
    approved_by: str | None
    evidence: tuple[AttachedEvidence, ...]


def create_assessment(c: DatabaseConnection, title: str, *, actor: str) -> UUID:
    """Open a draft."""
    assessment_id = uuid4()
    c.execute(
        insert(assessments)
        .inline()
        .values(assessment_id=assessment_id, title=title, created_by=actor)
    )
    return assessment_id


def attach(
    c: DatabaseConnection, assessment_id: UUID, evidence_ids: Sequence[UUID], *, actor: str
) -> int:
    """Attach evidence to a draft; the number that was not attached before.

    Raises:
        InputError: the organization has no such assessment or evidence.
        ThirdSentryError: the assessment is approved.
    """
    _require(c, assessment_id)
    known: set[UUID] = set(
        c.scalars(select(evidence.c.evidence_id).where(evidence.c.evidence_id.in_(evidence_ids)))
    )
    for evidence_id in evidence_ids:
        if evidence_id not in known:
            message = f"The organization has no evidence {evidence_id}."
            raise InputError(message)
    if not known:
        return 0
    with refusals_as_sentences(_REFUSALS):
        attached = c.execute(
            upsert(assessment_evidence)
            .values(
                [
                    {"assessment_id": assessment_id, "evidence_id": one, "attached_by": actor}
                    for one in sorted(known)
                ]
            )
            .on_conflict_do_nothing()
            .returning(assessment_evidence.c.evidence_id)
        )
    return len(attached.all())


def find_evidence(c: DatabaseConnection, references: Sequence[UUID | str]) -> list[UUID]:
    """The ids of evidence that is named by id or by fingerprint, in the same order.

    Raises:
        InputError: the organization has no evidence with such a fingerprint.
    """
    prints = [one for one in references if isinstance(one, str)]
    query = select(evidence.c.fingerprint, evidence.c.evidence_id).where(
        evidence.c.fingerprint.in_(prints)
    )
    ids: dict[str, UUID] = {row.fingerprint: row.evidence_id for row in c.execute(query)}
    for fingerprint in prints:
        if fingerprint not in ids:
            message = f"The organization has no evidence {fingerprint}."
            raise InputError(message)
    return [ids[one] if isinstance(one, str) else one for one in references]


def newest_evidence(c: DatabaseConnection) -> list[UUID]:
    """What each live connection's last good read of each type proved, whatever its age."""
    query = (
        select(evidence_state.c.evidence_id)
        .join(
            connections,
            (connections.c.organization_id == evidence_state.c.organization_id)
            & (connections.c.connection_id == evidence_state.c.connection_id),
        )
        .where(connections.c.deleted_at.is_(None), evidence_state.c.evidence_id.is_not(None))
        .order_by(evidence_state.c.connection_id, evidence_state.c.evidence_type)
    )
    return list(c.scalars(query))


def detach(c: DatabaseConnection, assessment_id: UUID, evidence_id: UUID) -> bool:
    """Take evidence off a draft; false when it was not attached.

    Raises:
        InputError: the organization has no such assessment.
        ThirdSentryError: the assessment is approved.
    """
    _require(c, assessment_id)
    with refusals_as_sentences(_REFUSALS):
        removed = c.execute(
            assessment_evidence.delete().where(
                assessment_evidence.c.assessment_id == assessment_id,
                assessment_evidence.c.evidence_id == evidence_id,
            )
        )
    return removed.rowcount > 0


def approve(c: DatabaseConnection, assessment_id: UUID, *, actor: str) -> None:
    """Freeze the assessment and what it holds; waits for an attachment in flight.

    Raises:
        InputError: the organization has no such assessment.
        ThirdSentryError: it is approved already, or holds no evidence.
    """
    _require(c, assessment_id)
    with refusals_as_sentences(_REFUSALS):
        c.execute(
            update(assessments)
            .where(assessments.c.assessment_id == assessment_id)
            .values(status="approved", approved_by=actor)
        )
    # Counted after the lock: an attachment in flight has ended by now.
    held = c.scalar(
        select(func.count())
        .select_from(assessment_evidence)
        .where(assessment_evidence.c.assessment_id == assessment_id)
    )
    if not held:
        message = f"Assessment {assessment_id} holds no evidence: attach some before approving it."
        raise ThirdSentryError(message)
    audit.append(
        c,
        "assessment_approved",
        actor=actor,
        detail={"assessment_id": str(assessment_id), "evidence_count": held},
    )


def get_assessment(c: DatabaseConnection, assessment_id: UUID) -> Assessment | None:
    """The assessment with its evidence."""
    row = c.execute(
        select(assessments).where(assessments.c.assessment_id == assessment_id)
    ).one_or_none()
    if row is None:
        return None
    held = c.execute(
        select(
            evidence.c.evidence_id,
            evidence.c.evidence_type,
            evidence.c.account_id,
            evidence.c.verdict,
            evidence.c.fingerprint,
            evidence.c.first_observed_at,
            assessment_evidence.c.attached_at,
            assessment_evidence.c.attached_by,
        )
        .join(evidence, evidence.c.evidence_id == assessment_evidence.c.evidence_id)
        .where(assessment_evidence.c.assessment_id == assessment_id)
        .order_by(assessment_evidence.c.attached_at, evidence.c.evidence_id)
    )
    attached = tuple(AttachedEvidence(**one) for one in held.mappings())
    return Assessment(**row._mapping, evidence=attached)  # noqa: SLF001 - SQLAlchemy's own name for a row as a mapping


def list_assessments(c: DatabaseConnection) -> list[tuple[UUID, str, str]]:
    """Id, title and status of the organization's assessments, newest first."""
    query = select(assessments.c.assessment_id, assessments.c.title, assessments.c.status).order_by(
        assessments.c.created_at.desc()
    )
    return [(row.assessment_id, row.title, row.status) for row in c.execute(query)]


def _require(c: DatabaseConnection, assessment_id: UUID) -> None:
    found = c.scalar(
        select(assessments.c.assessment_id).where(assessments.c.assessment_id == assessment_id)
    )
    if found is None:
        message = f"The organization has no assessment {assessment_id}."
        raise InputError(message)
