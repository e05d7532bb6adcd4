"""Many syncs in one process: what it holds levels off."""

import gc
from statistics import mean

import psutil
import pytest
from sqlalchemy.dialects.postgresql.base import PGDialect

from tests.integration.operations.lab import ORGANIZATION
from thirdsentry_pipeline.automation import launch
from thirdsentry_pipeline.domain.evidence import EvidenceType
from thirdsentry_pipeline.domain.identifiers import today
from thirdsentry_pipeline.domain.time import utc_now

pytestmark = [pytest.mark.integration, pytest.mark.minutes, pytest.mark.timeout(3600)]

CONNECTIONS = """
    select count(*) from pg_stat_activity
    where usename like 'thirdsentry%' and datname = :name
"""
ENOUGH_FOR_MEMORY = 20
MEGABYTE = 1024 * 1024
# An allocator keeps what it once had: a leak of 100 KB a sync would be ten megabytes in the
# second half of two hundred.
LARGEST_GROWTH = 5 * MEGABYTE
# SQLAlchemy keeps the last 128 engines alive for each of these, 20 MB and more, and each round here
# opens an instance with new ones; a process of the product opens one in its life.
REMEMBERED_BY_ENGINE = (PGDialect._has_multi_table_query, PGDialect._columns_query)


@pytest.fixture
def collected_as_in_a_run():
    """Garbage is looked for as often as in a process of the product."""
    usual = gc.get_threshold()
    gc.set_threshold(700, 10, 10)
    yield
    gc.set_threshold(*usual)


@pytest.mark.usefixtures("collected_as_in_a_run")
def test_what_a_process_holds_levels_off(town, pytestconfig):
    rounds = max(pytestconfig.getoption("--rounds"), 3)
    me = psutil.Process()
    held = []
    for _ in range(rounds):
        _, success = launch.run_evidence_job(
            town.settings(), ORGANIZATION, today(utc_now), tuple(EvidenceType)
        )
        assert success
        for remembered in REMEMBERED_BY_ENGINE:
            remembered.cache_clear()
        connections = town.lab.value(CONNECTIONS, name=town.lab.database.name)
        held.append((me.num_fds(), me.num_threads(), connections, me.memory_info().rss))
    files, threads, connections, memory = zip(*held, strict=True)
    # The first run opens what stays open: logs, pools, the models of botocore.
    for name, counted in (("files", files), ("threads", threads), ("connections", connections)):
        assert max(counted[rounds // 2 :]) <= max(counted[1 : rounds // 2 + 1]), (name, counted)
    if rounds >= ENOUGH_FOR_MEMORY:
        quarter = rounds // 4
        growth = mean(memory[-quarter:]) - mean(memory[rounds // 2 - quarter : rounds // 2])
        assert growth < LARGEST_GROWTH, (growth / MEGABYTE, memory)
    town.heal()
