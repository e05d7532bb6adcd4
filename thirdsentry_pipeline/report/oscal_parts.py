"""The small parts of an OSCAL document: identifiers, tokens, properties. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

from thirdsentry_pipeline.domain.time import iso_z
from thirdsentry_pipeline.report.inert import inert_line

if TYPE_CHECKING:
    from datetime import datetime

    from thirdsentry_pipeline.report.snapshot import Control, Evidence

NAMESPACE = "https://thirdsentry.example/ns/oscal/1"
"""Namespace of our properties; their names and meanings are a contract."""

_IDENTIFIERS = UUID("b1f7b0f2-6a3e-5f0e-9a37-0f3d0a8f5c11")

Part = dict[str, Any]


def identifier(*names: object) -> str:
    """A UUID that is the same for the same names, in every document."""
    return str(uuid5(_IDENTIFIERS, "|".join(str(name) for name in names)))


def prop(name: str, value: object) -> Part:
    """One property in our namespace; times in ISO 8601, truths as ``true`` and ``false``."""
    if isinstance(value, bool):
        value = str(value).lower()
    return {"name": name, "ns": NAMESPACE, "value": inert_line(str(value))}


def props(**values: object) -> list[Part]:
    """Properties of what is known: underscores become hyphens, ``None`` is left out."""
    return [
        prop(name.replace("_", "-"), value) for name, value in values.items() if value is not None
    ]


def known(part: Part) -> Part:
    """The part without what is empty: OSCAL knows no empty lists."""
    return {name: value for name, value in part.items() if value not in (None, [], {})}


def moment(time: datetime | None) -> str | None:
    """A time in ISO 8601."""
    return None if time is None else iso_z(time)


def control_token(control: Control) -> str:
    """The control's id as OSCAL allows it: ``AC-2(1)`` is ``ac-2.1``, as in NIST's own catalog.

    An id that begins with a digit gets its framework in front: ``2.5`` is ``cis_aws-2.5``.
    """
    token = control.control_id.lower().replace("(", ".").replace(")", "")
    return f"{control.framework}-{token}" if token[0].isdigit() else token


def objective_token(control: Control) -> str:
    """Our own objective of a control: what evidence can prove, which may be a part of it."""
    return f"{control_token(control)}_obj.thirdsentry"


def observation_id(evidence: Evidence) -> str | None:
    """Names the read an observation tells of; None when there was not even an attempt."""
    if evidence.last_ok_at is None and evidence.last_attempt_at is None:
        return None
    collected = evidence.observed_at or evidence.last_ok_at or evidence.last_attempt_at
    return identifier(
        "observation", evidence.connection_id, evidence.evidence_type, moment(collected)
    )


def account_id(evidence: Evidence) -> str:
    """Names the connected account."""
    return identifier("component", evidence.connection_id)
