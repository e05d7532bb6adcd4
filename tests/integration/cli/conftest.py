"""The command line on an installation with its own warehouse, Dagster instance and sandbox."""

import json
from dataclasses import dataclass

import pytest

from tests.integration.dagster.conftest import installation, worker_name
from tests.integration.operations.lab import lab
from thirdsentry_pipeline.cli.main import run

__all__ = ["installation", "lab", "worker_name"]


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def document(self):
        return json.loads(self.out)

    @property
    def sentence(self):
        assert self.out == ""
        assert self.err.count("\n") == 1, self.err
        return self.err


@pytest.fixture
def thirdsentry(installation, capfd):
    def call(*arguments):
        capfd.readouterr()
        code = run(arguments)
        captured = capfd.readouterr()
        return Outcome(code, captured.out, captured.err)

    return call
