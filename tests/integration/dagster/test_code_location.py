"""The code location as people with their own Dagster load it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[3]
BINARIES = Path(sys.executable).parent


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["dagster", "definitions", "validate", "-w", str(ROOT / "workspace.yaml")], "passed"),
        (["dg", "check", "defs"], "All definitions loaded successfully"),
    ],
    ids=["dagster", "dg"],
)
def test_the_definitions_validate_in_an_environment_without_settings(tmp_path, command, says):
    keep = {name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ}
    finished = subprocess.run(
        [BINARIES / command[0], *command[1:]],
        cwd=ROOT if command[0] == "dg" else tmp_path,
        env={**keep, "PATH": f"{BINARIES}{os.pathsep}{os.defpath}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    assert says in finished.stdout + finished.stderr
