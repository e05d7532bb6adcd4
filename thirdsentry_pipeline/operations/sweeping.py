"""Ending runs whose process is gone, over all organizations, each in its own scope."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thirdsentry_pipeline.warehouse.runs import sweep_abandoned
from thirdsentry_pipeline.warehouse.scope import live_organization_ids, organization_scope

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy import Engine


def sweep_organizations(pipeline: Engine, scheduler: Engine) -> list[UUID]:
    """Mark dead runs abandoned, with their audit rows; returns the runs' ids.

    A connection's next run does the same for its own; this is for those that have no next run.
    """
    swept: list[UUID] = []
    for organization_id in live_organization_ids(scheduler):
        with organization_scope(pipeline, organization_id) as connection:
            swept.extend(sweep_abandoned(connection))
    return swept
