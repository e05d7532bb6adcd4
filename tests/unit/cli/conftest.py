import os
from dataclasses import dataclass

import pytest

from thirdsentry_pipeline.cli.main import run


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An environment without settings; nothing exists at the home yet."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "THIRDSENTRY_")) and name != "THIRDSENTRY_TESTS_POSTGRES":
            monkeypatch.delenv(name)
    place = tmp_path / "home"
    monkeypatch.setenv("THIRDSENTRY_HOME", str(place))
    return place


@pytest.fixture
def thirdsentry(home, capfd):
    """Runs one command line in this process."""

    def call(*arguments):
        code = run(arguments)
        captured = capfd.readouterr()
        return Outcome(code, captured.out, captured.err)

    return call
