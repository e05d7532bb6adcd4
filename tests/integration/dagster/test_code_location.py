"""The code location as people with their own Dagster load it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[3]
BINARIES = Path(sys.executable).parent
# Both commands in one process, which has to import everything once.
VALIDATE = f"""
import os
from dagster._cli import create_dagster_cli
from dagster_dg_cli.cli import create_dg_cli
create_dagster_cli()(
    ["definitions", "validate", "-w", {str(ROOT / "workspace.yaml")!r}], standalone_mode=False
)
os.chdir({str(ROOT)!r})
create_dg_cli()(["check", "defs"], standalone_mode=False)
"""


def test_the_definitions_validate_in_an_environment_without_settings(tmp_path):
    """By `dagster definitions validate` from anywhere, and by `dg check defs` in the project."""
    keep = {name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ}
    finished = subprocess.run(
        [sys.executable, "-c", VALIDATE],
        cwd=tmp_path,
        env={**keep, "PATH": f"{BINARIES}{os.pathsep}{os.defpath}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    said = finished.stdout + finished.stderr
    assert "Validation successful for code location thirdsentry" in said
    assert "All definitions loaded successfully" in said
