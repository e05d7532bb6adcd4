"""Pruning beyond the organizations' windows, each in its own transaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from thirdsentry_pipeline.domain.errors import ThirdSentryError
from thirdsentry_pipeline.warehouse.audit import SYSTEM_ACTOR
from thirdsentry_pipeline.warehouse.retention import Pruned, prune
from thirdsentry_pipeline.warehouse.scope import organization_scope

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Engine


@dataclass(frozen=True, slots=True)
class PruneOutcome:
    """What was deleted of one organization, or the ``problem`` for which nothing was."""

    organization_id: str
    pruned: Pruned | None
    problem: str | None = None


def prune_organizations(
    pipeline: Engine, organization_ids: Iterable[str], *, actor: str = SYSTEM_ACTOR
) -> list[PruneOutcome]:
    """Prune each organization; one that fails costs no other its turn."""
    return [_prune_or_problem(pipeline, one, actor) for one in organization_ids]


def _prune_or_problem(pipeline: Engine, organization_id: str, actor: str) -> PruneOutcome:
    try:
        with organization_scope(pipeline, organization_id) as c:
            return PruneOutcome(organization_id, prune(c, actor=actor))
    except ThirdSentryError as error:
        problem = str(error)
    except SQLAlchemyError as error:
        problem = f"Postgres refused to prune ({type(error).__name__}); nothing was deleted."
    return PruneOutcome(organization_id, None, problem)
