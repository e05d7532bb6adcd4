"""What ``doctor --deep`` adds: every invariant over every row, and every wall of the database."""

from sqlalchemy import Engine

from thirdsentry_pipeline.cli.checks import Check
from thirdsentry_pipeline.cli.errors import describe
from thirdsentry_pipeline.cli.session import login_engine
from thirdsentry_pipeline.settings import Settings, with_database
from thirdsentry_pipeline.warehouse.catalogue import find_problems
from thirdsentry_pipeline.warehouse.database import engine_for
from thirdsentry_pipeline.warehouse.invariants import (
    ALERTS,
    CHAIN,
    Breach,
    find_breaches,
    invariants,
    sentences,
)

# Every row is read: what takes a moment per organization takes longer over all of them.
DEEP_SECONDS = 3600
SHOWN_WALLS = 10


def examine_deeply(settings: Settings) -> list[Check]:
    """One check per invariant and one of the walls; a query that fails fails its check."""
    url = with_database(settings.login_url("admin"), settings.warehouse_database)
    admin = engine_for(url, pool=False, statement_timeout_seconds=DEEP_SECONDS)
    try:
        with login_engine(settings, "pipeline") as pipeline:
            breaches = find_breaches(admin, pipeline)
        return [*invariant_checks(breaches), walls(admin)]
    except Exception as error:  # noqa: BLE001 - a doctor reports every failure and goes on
        return [Check("invariants", ok=False, detail=describe(error)[0])]
    finally:
        admin.dispose()


def invariant_checks(breaches: list[Breach]) -> list[Check]:
    """Each invariant by its name and promise: that it holds, or the sentence of what breaks it."""
    promises: dict[str, list[str]] = {}
    for name, promise in [*((one.name, one.promise) for one in invariants()), CHAIN, ALERTS]:
        promises.setdefault(name, []).append(promise)
    checks = []
    for name in sorted(promises, key=lambda name: int(name[1:])):
        said = sentences(one for one in breaches if one.name == name)
        held = ". ".join(promises[name]) + "."
        checks.append(Check(f"invariant {name}", ok=not said, detail=" ".join(said) or held))
    return checks


def walls(admin: Engine) -> Check:
    """Row security, policies, triggers, grants and roles are as the migrations made them."""
    with admin.connect() as connection:
        problems = find_problems(connection)
    more = f"; and {len(problems) - SHOWN_WALLS} more" if len(problems) > SHOWN_WALLS else ""
    detail = "; ".join(problems[:SHOWN_WALLS]) + more
    return Check("walls", ok=not problems, detail=detail or "as the migrations made them")
