"""Children end with us, as whole groups, however we end."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from thirdsentry_pipeline.domain.errors import ThirdSentryError
from thirdsentry_pipeline.local import processes
from thirdsentry_pipeline.local.console import console_to
from thirdsentry_pipeline.local.demo_environment import applied, demo_environment

FAMILY = (
    "import subprocess, sys, time;"
    "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)', sys.argv[1]]);"
    "print('up', flush=True); time.sleep(600)"
)


def marked(mark):
    return [
        process.pid
        for process in psutil.process_iter(["cmdline", "status"])
        if mark in (process.info["cmdline"] or []) and process.info["status"] != "zombie"
    ]


def wait_for(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# A forked run leads a session of its own.
MOVED_OUT = FAMILY.replace("sys.argv[1]]", "sys.argv[1]], start_new_session=True")


@pytest.mark.parametrize("family", [FAMILY, MOVED_OUT], ids=["at home", "moved out"])
def test_stopping_ends_children_and_grandchildren(tmp_path, family):
    mark = f"family-{tmp_path}"
    with processes.ChildProcesses(tmp_path) as children:
        children.start("parent", [sys.executable, "-c", family, mark], os.environ)
        wait_for(lambda: len(marked(mark)) == 3)
        children.check()
    assert marked(mark) == []
    assert (tmp_path / "parent.log").read_text() == "up\n"


def test_child_that_does_not_listen_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "STOP_SECONDS", 0.3)
    mark = f"deaf-{tmp_path}"
    program = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
    with processes.ChildProcesses(tmp_path) as children:
        children.start("deaf", [sys.executable, "-c", program, mark], os.environ)
        wait_for(lambda: (tmp_path / "deaf.log").read_text() == "up\n")
    assert marked(mark) == []


def test_child_that_ended_is_named_with_its_log(tmp_path):
    with processes.ChildProcesses(tmp_path) as children:
        children.start("brief", [sys.executable, "-c", "raise SystemExit(7)"], os.environ)
        with pytest.raises(
            ThirdSentryError, match=r"brief ended by itself \(exit code 7\): see .*brief\.log"
        ):
            wait_for(children.check)


def test_children_end_when_we_are_killed(tmp_path):
    mark = f"orphan-{tmp_path}"
    program = (
        "import os, sys, time; from pathlib import Path;"
        "from thirdsentry_pipeline.local.processes import ChildProcesses;"
        "c = ChildProcesses(Path(sys.argv[1]));"
        f"c.start('family', [sys.executable, '-c', {FAMILY!r}, sys.argv[2]], os.environ);"
        "time.sleep(600)"
    )
    supervisor = subprocess.Popen([sys.executable, "-c", program, str(tmp_path), mark])
    wait_for(lambda: len(marked(mark)) == 4)
    supervisor.send_signal(signal.SIGKILL)
    supervisor.wait()
    wait_for(lambda: marked(mark) == [])


def test_waiting_ends_at_an_interrupt():
    def interrupt():
        raise KeyboardInterrupt

    processes.wait_for_interrupt(interrupt)


def test_second_interrupt_waits_while_stopping():
    # A shell starts background jobs with SIGINT ignored; this test must not depend on that.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with processes.uninterrupted():
            os.kill(os.getpid(), signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_console_goes_to_the_log_and_comes_back(tmp_path, capfd):
    log = tmp_path / "logs" / "runs.log"
    sys.stdout.write("before\n")
    with console_to(log):
        os.write(1, b"below python\n")
        subprocess.run([sys.executable, "-c", "print('from a child')"], check=True)
    sys.stdout.write("after\n")
    assert capfd.readouterr().out == "before\nafter\n"
    assert log.read_text() == "below python\nfrom a child\n"


def test_demo_reaches_nothing_but_the_sandbox(tmp_path):
    mine = {
        "PATH": "/bin",
        "AWS_PROFILE": "production",
        "AWS_SESSION_TOKEN": "real",
        "AWS_ENDPOINT_URL_STS": "https://elsewhere",
        "THIRDSENTRY_DATABASE_URL": "postgresql://production",
        "THIRDSENTRY_ALERT_WEBHOOK_URL": "https://chat",
        "THIRDSENTRY_ORGANIZATIONS_PER_RUN": "2",
    }
    theirs = demo_environment(mine, {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, tmp_path)
    assert theirs["AWS_ENDPOINT_URL"] == "http://127.0.0.1:1"
    assert theirs["THIRDSENTRY_ORGANIZATIONS_PER_RUN"] == "2"
    assert theirs["PATH"] == "/bin"
    assert not {"real", "production", "https://elsewhere", "https://chat"} & set(theirs.values())
    before = dict(os.environ)
    with applied(theirs):
        assert dict(os.environ) == theirs
    assert dict(os.environ) == before
