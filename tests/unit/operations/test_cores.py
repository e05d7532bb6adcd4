import functools
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from thirdsentry_pipeline.operations import cores

pytestmark = pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"), reason="Linux alone lets a thread choose its cores"
)
needs_two_cores = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2,
    reason="there is nothing to choose",
)

KEEPS_TO_ONE = """
import json, os, sys
from concurrent.futures import ThreadPoolExecutor
from thirdsentry_pipeline.operations import cores
cores.CLAIM = sys.argv[1]

def kept():
    pool = ThreadPoolExecutor(1, initializer=cores.keep_to_one_core)
    return json.dumps(sorted(pool.submit(os.sched_getaffinity, 0).result()))

print(kept(), flush=True)
"""
WAITS = f"{KEEPS_TO_ONE}sys.stdin.read()\n"
FORKS = f"{KEEPS_TO_ONE}if os.fork() == 0:\n    print(kept(), flush=True)\nelse:\n    os.wait()\n"


@pytest.fixture
def claim(monkeypatch):
    """Names of claims that no other test of the machine makes, in a process that has made none."""
    monkeypatch.setattr(cores, "CLAIM", f"test/{uuid4()}/{{}}")
    monkeypatch.setattr(cores, "_own_core", functools.cache(cores._own_core.__wrapped__))
    yield cores.CLAIM
    core = cores._own_core()
    if core is not None:
        core.claim.close()


def affinity_of_a_thread_that_keeps():
    """Of the thread itself, and of one that it starts."""

    def both():
        with ThreadPoolExecutor(1) as inner:
            return os.sched_getaffinity(0), inner.submit(os.sched_getaffinity, 0).result()

    with ThreadPoolExecutor(1, initializer=cores.keep_to_one_core) as pool:
        return pool.submit(both).result()


@needs_two_cores
def test_a_thread_and_those_it_starts_keep_to_one_core_and_no_other_thread_does(claim):
    before = os.sched_getaffinity(0)
    own, started = affinity_of_a_thread_that_keeps()
    assert len(own) == 1
    assert started == own
    assert affinity_of_a_thread_that_keeps()[0] == own
    assert os.sched_getaffinity(0) == before


@needs_two_cores
def test_a_core_belongs_to_one_process_until_that_ends_and_one_without_roams(claim):
    allowed = os.sched_getaffinity(0)
    others = [
        subprocess.Popen(
            [sys.executable, "-c", WAITS, claim], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for _ in allowed
    ]
    try:
        kept = [json.loads(one.stdout.readline()) for one in others]
        assert sorted(core for (core,) in kept) == sorted(allowed)
        assert affinity_of_a_thread_that_keeps()[0] == allowed
        others[0].kill()
        others[0].wait()
        cores._own_core.cache_clear()
        assert affinity_of_a_thread_that_keeps()[0] == set(kept[0])
    finally:
        for one in others:
            one.kill()
            one.communicate()


@needs_two_cores
def test_a_fork_does_not_take_its_parents_core_for_its_own(claim):
    done = subprocess.run(
        [sys.executable, "-c", FORKS, claim], capture_output=True, text=True, check=True
    )
    parent, child = map(json.loads, done.stdout.splitlines())
    assert len(parent) == len(child) == 1
    assert parent != child


def test_where_there_is_one_core_nothing_is_claimed(claim, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3})
    cores.keep_to_one_core()
    assert cores._own_core() is None


@pytest.mark.parametrize(
    ("owner", "name"),
    [(os, "sched_setaffinity"), (os, "sched_getaffinity"), (cores.socket, "socket")],
)
def test_where_a_container_forbids_it_the_thread_goes_on(claim, monkeypatch, owner, name):
    def forbidden(*_):
        raise PermissionError

    with monkeypatch.context() as patched:
        patched.setattr(owner, name, forbidden)
        cores.keep_to_one_core()
