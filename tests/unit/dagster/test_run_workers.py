"""A run's process is told from others with its number, and from none at all."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from thirdsentry_pipeline.automation import fork_process
from thirdsentry_pipeline.automation.fork_process import code_on_disk
from thirdsentry_pipeline.automation.run_workers import (
    WORKER_TAG,
    Presence,
    RunWorker,
    own_worker,
)


def test_a_worker_survives_its_way_through_a_tag():
    worker = own_worker()
    assert worker.pid == os.getpid()
    assert RunWorker.from_tags(worker.as_tags()) == worker
    assert worker.presence() is Presence.RUNNING


@pytest.mark.parametrize("tag", ["", "[]", '{"pid": 1}', '{"pid": 1, "x": 2}'])
def test_a_tag_that_names_no_worker_is_none(tag):
    assert RunWorker.from_tags({WORKER_TAG: tag}) is None
    assert RunWorker.from_tags({}) is None


def test_another_process_with_the_same_number_is_not_the_worker():
    assert replace(own_worker(), started="1").presence() is Presence.GONE


def test_a_process_from_before_the_reboot_is_gone_and_one_of_another_host_is_unknown():
    assert replace(own_worker(), boot="before").presence() is Presence.GONE
    assert replace(own_worker(), host="another", boot="other").presence() is Presence.ELSEWHERE


def test_a_process_that_ended_is_gone_also_while_nobody_waited_for_it():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        worker = RunWorker.of(process.pid)
        assert worker.presence() is Presence.RUNNING
        process.stdin.close()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert worker.presence() is Presence.GONE
    with pytest.raises(ProcessLookupError):
        RunWorker.of(process.pid)


def test_the_code_on_disk_changes_with_every_source_and_with_nothing_a_run_writes(
    tmp_path, monkeypatch
):
    package, dbt = tmp_path / "package", tmp_path / "dbt"
    for folder in (package / "__pycache__", dbt / "target", dbt / "models"):
        folder.mkdir(parents=True)
    (package / "module.py").write_text("a = 1")
    monkeypatch.setattr(fork_process, "PACKAGE", package)
    monkeypatch.setattr(fork_process, "DBT_PROJECT", dbt)
    seen = [code_on_disk()]
    (package / "__pycache__" / "module.pyc").write_text("compiled")
    (dbt / "target" / "manifest.json").write_text("{}")
    assert code_on_disk() == seen[0]
    for path, text in ((package / "module.py", "a = 22"), (dbt / "models" / "a.sql", "select 1")):
        path.write_text(text)
        seen.append(code_on_disk())
    assert len(set(seen)) == 3
