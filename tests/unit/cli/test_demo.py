"""How long the demo's parts stay: with the UI until Ctrl-C, without it until the tables are shown."""

from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from thirdsentry_pipeline.cli import demo


@pytest.fixture
def happened(monkeypatch):
    """What the demo did, with parts that do nothing but say so."""
    said = []

    @contextmanager
    def sandbox(home):
        home.mkdir()
        yield SimpleNamespace(environment={"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, admin=None)
        said.append("sandbox ended")

    @contextmanager
    def database(_settings):
        yield
        said.append("database ended")

    monkeypatch.setattr(demo, "SandboxProcess", sandbox)
    monkeypatch.setattr(demo, "database_for_command", database)
    monkeypatch.setattr(demo, "run_demo", lambda *_: said.append("ran") or [])
    monkeypatch.setattr(demo, "show", lambda *_, **__: said.append("shown"))
    monkeypatch.setattr(demo, "write_reports", lambda *_: [])
    monkeypatch.setattr(demo, "serve_until_interrupt", lambda *_: said.append("served"))
    return said


@pytest.mark.parametrize(
    ("more", "serving"), [(["--no-ui"], []), (["--port", "45678"], ["served"])], ids=str
)
def test_everything_ends_after_the_tables_or_after_the_ui(thirdsentry, happened, more, serving):
    outcome = thirdsentry("demo", *more)
    assert outcome.code == 0, outcome.err
    assert happened == ["ran", "shown", *serving, "database ended", "sandbox ended"]
