"""What an outside watchdog asks: is the pipeline alive, and is its work done?

Nothing inside can notice a daemon that is dead or a sink that takes no news. The answers come
from what was written, the heartbeats apart, so a daemon that beats and does nothing is noticed
as well. Postgres' clock decides every age.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import text

from thirdsentry_pipeline.domain.errors import ThirdSentryError
from thirdsentry_pipeline.warehouse.scope import live_organization_ids, organization_scope

if TYPE_CHECKING:
    from sqlalchemy import Engine

LONGEST_SILENCE = timedelta(minutes=2)
DAEMONS = ("SCHEDULER", "SENSOR", "QUEUED_RUN_COORDINATOR")
SHOWN = 3

_BEATS = text("""
    select daemon_type, (clock_timestamp() at time zone 'utc') - timestamp as age
    from daemon_heartbeats
    where daemon_type = any(:wanted)
""")
_HEARTBEATS_MADE = text("select to_regclass('daemon_heartbeats') is not null")
_MARTS_MADE = text("""
    select to_regclass('coverage.connector_health') is not null
      and to_regclass('coverage.coverage_daily') is not null
""")

# Six hours are for the runs: a thousand organizations take one.
_UNDONE = text("""
    with tick as (
      select date_trunc('day', clock_timestamp() at time zone 'utc' - interval '8 hours')
        at time zone 'utc' + interval '2 hours' as due_at
    )

    select
      (select count(*) from coverage.connector_health as h where h.is_stale) as stale,
      (
        select count(*) from warehouse.connections as k cross join tick
        where
          k.deleted_at is null and k.connected_at < tick.due_at
          and coalesce(k.next_attempt_at, '-infinity') <= tick.due_at
          and not exists (
            select from warehouse.connector_runs as r
            where
              r.organization_id = k.organization_id
              and r.connection_id = k.connection_id
              and r.started_at >= tick.due_at
          )
      ) as missed,
      (
        select count(*) from warehouse.organizations as o
        where
          o.deleted_at is null
          -- The day before yesterday is told since half past midnight yesterday.
          and o.created_at < date_trunc('day', clock_timestamp() at time zone 'utc')
            at time zone 'utc' - interval '1 day'
          and not exists (
            select from coverage.coverage_daily as d
            where
              d.organization_id = o.organization_id
              and d.as_of_date >= (clock_timestamp() at time zone 'utc')::date - 2
          )
      ) as untold,
      (
        select count(*) from warehouse.alerts as a
        where
          (a.notified_at is null
            or (a.resolved_at is not null and a.resolution_notified_at is null))
          and a.opened_at < clock_timestamp() - interval '15 minutes'
          and a.delivery_attempts > 2
      ) as unsent
""")

PROBLEMS = {
    "stale": "have a connection without a good read for longer than evidence lasts",
    "missed": "have a connection that the last 02:00 UTC schedule did not read",
    "untold": "lack the coverage history since the day before yesterday",
    "unsent": "have an alert that no sink takes",
}


@dataclass(frozen=True, slots=True)
class Watched:
    """How many organizations were looked at, and which have each problem."""

    organizations: int
    found: dict[str, list[str]]

    def require_none(self, problem: str) -> str:
        """The sentence for when no organization has the problem.

        Raises:
            ThirdSentryError: naming the first of those that have it.
        """
        having = self.found[problem]
        if having:
            more = "" if len(having) <= SHOWN else ", …"
            message = (
                f"{len(having)} of {self.organizations} organizations {PROBLEMS[problem]}: "
                f"{', '.join(having[:SHOWN])}{more}."
            )
            raise ThirdSentryError(message)
        return f"none of {self.organizations} organizations"


def require_heartbeats(dagster: Engine) -> str:
    """How long ago the quietest of the daemons that matter was heard.

    Raises:
        ThirdSentryError: one was not heard for two minutes, or never.
    """
    with dagster.connect() as connection:
        ages = {}
        if connection.scalar(_HEARTBEATS_MADE):
            rows = connection.execute(_BEATS, {"wanted": list(DAEMONS)})
            ages = {row.daemon_type: row.age for row in rows}
    silent = [one for one in DAEMONS if ages.get(one, timedelta.max) > LONGEST_SILENCE]
    if silent:
        names = " and ".join(one.lower().replace("_", " ") for one in silent)
        message = f"No heartbeat of the {names} for two minutes: start `thirdsentry up` again."
        raise ThirdSentryError(message)
    return f"last heartbeat {max(ages.values()).total_seconds():.0f} s ago"


def watch_organizations(pipeline: Engine, scheduler: Engine) -> Watched:
    """Look at every live organization, each in its own scope.

    Raises:
        ThirdSentryError: the coverage models were never built.
    """
    with pipeline.connect() as connection:
        if not connection.scalar(_MARTS_MADE):
            message = "The coverage models are not built: run the job coverage_history."
            raise ThirdSentryError(message)
    ids = live_organization_ids(scheduler)
    found: dict[str, list[str]] = {problem: [] for problem in PROBLEMS}
    for organization_id in ids:
        with organization_scope(pipeline, organization_id) as connection:
            counts = connection.execute(_UNDONE).mappings().one()
        for problem, having in found.items():
            if counts[problem]:
                having.append(organization_id)
    return Watched(len(ids), found)
