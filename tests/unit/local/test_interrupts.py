"""An interrupt that another handler swallowed still stops the command."""

import os
import signal
import subprocess
import sys

import pytest

from thirdsentry_pipeline.local import interrupts

SWALLOWED = """
import os, signal
from thirdsentry_pipeline.cli import main
from thirdsentry_pipeline.domain.errors import ThirdSentryError

def job(*_arguments, **_options):
    before = signal.signal(signal.SIGINT, lambda *_: None)
    os.kill(os.getpid(), signal.SIGINT)
    signal.signal(signal.SIGINT, before)
    raise ThirdSentryError("The run failed, because something stopped it.")

main.app = job
main.main()
"""


def test_swallowed_interrupt_ends_the_command_as_interrupted():
    finished = subprocess.run(
        [sys.executable, "-c", SWALLOWED], capture_output=True, text=True, check=False
    )
    assert finished.returncode == 130
    assert finished.stderr.count("\n") == 1
    assert "Stopped" in finished.stderr


@pytest.mark.parametrize("number", interrupts.INTERRUPTS)
def test_interrupts_raise_and_are_told_once(number, monkeypatch):
    before = {one: signal.getsignal(one) for one in interrupts.INTERRUPTS}
    monkeypatch.setattr(interrupts, "_received", [])
    try:
        interrupts.remember_interrupts()
        interrupts.raise_if_interrupted()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
        with pytest.raises(KeyboardInterrupt):
            interrupts.raise_if_interrupted()
        assert not interrupts.was_interrupted()
    finally:
        signal.set_wakeup_fd(-1)
        for one, handler in before.items():
            signal.signal(one, handler)


def test_without_handlers_nothing_was_interrupted():
    assert not interrupts.was_interrupted()
