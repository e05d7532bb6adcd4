"""The AWS sandbox for tests: one process per pytest process, empty again on request.

``sandbox`` may be shared between tests that each use accounts of their own; ``empty_sandbox``
resets it first.
"""

import os

import pytest

from thirdsentry_pipeline.local.sandbox_process import SandboxProcess


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory):
    """A running sandbox: ``.admin``, ``.environment``, ``.endpoint_url``."""
    with SandboxProcess(tmp_path_factory.mktemp("sandbox-home")) as process:
        yield process


@pytest.fixture
def empty_sandbox(sandbox):
    """The sandbox without any account, fault or recorded call."""
    sandbox.admin.reset()
    return sandbox


@pytest.fixture
def sandbox_environment(sandbox, monkeypatch):
    """This process's environment points at the sandbox, and at no other AWS.

    Faults that a test injects end with it: the next one may not begin with an empty sandbox.
    """
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in sandbox.environment.items():
        monkeypatch.setenv(name, value)
    yield sandbox.environment
    sandbox.admin.clear_faults()
