"""What must have come out of a simulated year, told from what happened and from nothing else.

Written from the contract and the seeds, not from the models: it knows who connected, left, was
read or refused, and when. It imports nothing of the product.
"""

import csv
from collections import defaultdict
from datetime import timedelta
from pathlib import Path

SEEDS = Path(__file__).parents[2] / "dbt" / "seeds"
LIMIT = timedelta(hours=48)
FRESH = {"pass", "fail", "not_applicable"}
WORST_FIRST = ("fail", ("missing", "not_authorized"), "stale", "pending", "not_applicable")
NAMES = {"fail": "failing", ("missing", "not_authorized"): "missing"}


def controls():
    """Evidence types by framework and control."""
    wanted = defaultdict(list)
    with (SEEDS / "control_evidence_map.csv").open() as file:
        for row in csv.DictReader(file):
            wanted[row["framework"], row["control_id"]].append(row["evidence_type"])
    return wanted


def evidence_status(connection, kind, instant):
    before = [one for one in connection.reads[kind] if one.at < instant]
    good = [one for one in before if one.verdict]
    since = good[-1].at if good else connection.connected_at
    if instant <= since + LIMIT:
        return good[-1].verdict if good else "pending"
    if good:
        return "stale"
    return "not_authorized" if before and before[-1].status == "denied" else "missing"


def coverage(organization, day_end):
    """Rows of one organization's day: status, covered, required, fresh by control."""
    live = [
        one
        for one in organization.connections
        if one.connected_at < day_end and (one.revoked_at is None or one.revoked_at >= day_end)
    ]
    rows = {}
    for control, kinds in controls().items():
        found = [evidence_status(one, kind, day_end) for one in live for kind in kinds]
        found = found or ["missing"] * len(kinds)
        worst = next((w for w in WORST_FIRST if any(f == w or f in w for f in found)), "pass")
        status = NAMES.get(worst, "passing" if worst == "pass" else worst)
        fresh = sum(one in FRESH for one in found)
        rows[control] = (status, fresh == len(found), len(found), fresh)
    return rows


def stale_episodes(connection, now):
    """Key, and when it began and ended (``None``: not yet), of each time evidence outlived."""
    episodes = {}
    for kind, reads in connection.reads.items():
        good = [one for one in reads if one.verdict]
        starts = [(connection.connected_at, "never"), *((one.at, one.run_id) for one in good)]
        for place, (since, run_id) in enumerate(starts):
            ends = [starts[place + 1][0]] if place + 1 < len(starts) else []
            ends += [connection.revoked_at] if connection.revoked_at else []
            end = min(ends, default=None)
            if since + LIMIT < (end or now):
                episodes[f"{connection.id}:{kind}:{run_id}"] = (since + LIMIT, end)
    return episodes


def failed_streaks(connection):
    """The same for runs that failed twice and more without a good one between."""
    episodes, failures, began = {}, [], "never"
    for run in [*connection.runs, None]:
        if run is not None and not run.is_good:
            failures.append(run.at)
            continue
        end = run.at if run is not None else connection.revoked_at
        if len(failures) > 1:
            episodes[f"{connection.id}:sync_failed:{began}"] = (failures[1], end)
        failures, began = [], run.run_id if run is not None else began
    return episodes
