"""Guards against dying processes and databases, and how each is taken away."""

from tests.faults.guards import Guard
from thirdsentry_pipeline.warehouse import runs


def nobody_sweeps(monkeypatch):
    monkeypatch.setattr(runs, "_abandon", lambda *_: [])


GUARDS = (
    Guard(
        name="sweeping",
        fault=1,
        removes="the next run abandons runs whose process is gone",
        tests=("test_killed_before_the_commit_a_sync_leaves_nothing",),
        patch=nobody_sweeps,
        only="in the open role",
        quick=True,
    ),
)
