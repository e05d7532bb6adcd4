"""The house rules that no linter knows: who may import whom, and how long a file may be."""

from __future__ import annotations

import ast
import re
import sys
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PACKAGE = REPOSITORY / "thirdsentry_pipeline"
NAME = PACKAGE.name
MODULES = sorted(PACKAGE.rglob("*.py"))

_DAGSTER = {"partitions", "resources", "assets", "automation"}
_BELOW_DAGSTER = {"domain", "aws", "warehouse", "operations", "report", "settings"}
MAY_IMPORT = {
    "domain": set(),
    "settings": {"domain"},
    "aws": {"domain"},
    "warehouse": {"domain"},
    "report": {"domain", "warehouse"},
    "operations": {"domain", "aws", "warehouse", "settings"},
    **dict.fromkeys(_DAGSTER, _BELOW_DAGSTER | _DAGSTER),
    "definitions": _BELOW_DAGSTER | _DAGSTER,
    "shards": _BELOW_DAGSTER | _DAGSTER | {"definitions"},
    "local": _BELOW_DAGSTER | _DAGSTER | {"definitions"},
    "cli": _BELOW_DAGSTER | _DAGSTER | {"definitions", "local"},
}
"""Per layer the layers below it; each may also import itself."""

# Who may know of which product: the others stay testable without it.
CONFINED = {
    "boto3": {"aws", "local"},
    "botocore": {"aws", "local"},
    "moto": {"local"},
    "sqlalchemy": {
        "warehouse",
        "operations",
        "resources",
        "assets",
        "automation",
        "report",
        "local",
        "cli",
    },
    "alembic": {"warehouse"},
    "dagster": {*_DAGSTER, "definitions", "shards", "local", "cli"},
    "dagster_dbt": {*_DAGSTER, "definitions"},
    "dagster_aws": {*_DAGSTER, "definitions"},
    "typer": {"cli"},
    "rich": {"cli", "local"},
}
DOMAIN_NEEDS_ONLY = {"rfc8785"}

HAND_THE_ENVIRONMENT_ON = {
    "assets/coverage.py": "sets dbt's login for dagster-dbt's child process and restores what was",
    "assets/dbt_runner.py": "adds dbt's login for a child process",
    "automation/fork_process.py": "keeps numpy single-threaded in a child process",
    "cli/demo.py": "gives the sandbox's variables to boto3",
    "cli/output.py": "asks whether the terminal's width was set",
    "local/dagster_server.py": "adds DAGSTER_HOME for a child process",
    "local/demo_environment.py": "sets the sandbox's variables and restores the former ones",
    "local/sandbox_process.py": "keeps real AWS credentials from the sandbox's child process",
}
"""No setting is read here: the environment is passed on or prepared for other programs."""

PY_LINES = 400
SQL_LINES = 80
VAGUE_NAMES = re.compile(r"(^|_)(utils?|helpers?|common|managers?|misc)(_|$)")


def layer_of(path: Path) -> str:
    return layer_named(path.relative_to(PACKAGE).parts[0].removesuffix(".py"))


def layer_named(name: str) -> str:
    """The settings are one layer, though they take several files."""
    return "settings" if name.startswith("settings_") else name


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports_of(path: Path) -> set[str]:
    """Dotted names imported anywhere in a module, those for type checking and in functions too."""
    found: set[str] = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the layer"
            found.add(str(node.module))
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def layers_imported(path: Path) -> set[str]:
    dotted = (name.split(".") for name in imports_of(path))
    return {layer_named(parts[1]) for parts in dotted if parts[0] == NAME and len(parts) > 1}


def named(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_imports_go_one_way(path):
    layer = layer_of(path)
    if layer == "__init__":
        assert layers_imported(path) == set()
        return
    assert layer in MAY_IMPORT, f"{named(path)} belongs to no layer; give it one in MAY_IMPORT"
    beyond = layers_imported(path) - MAY_IMPORT[layer] - {layer}
    assert not beyond, f"{named(path)} must not import {sorted(beyond)}"


def test_the_layers_have_no_circle():
    for layer, below in MAY_IMPORT.items():
        for other in below - _DAGSTER:
            assert layer not in MAY_IMPORT[other], (layer, other)


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_each_product_is_known_only_where_it_belongs(path):
    layer = layer_of(path)
    for product in {name.split(".")[0] for name in imports_of(path)} & set(CONFINED):
        assert layer in CONFINED[product], f"{named(path)} must not know {product}"


def test_the_domain_is_pure():
    # Input and output of any kind would make a verdict depend on more than the facts.
    forbidden = {"os", "socket", "subprocess", "random", "secrets", "requests", "pathlib"}
    for path in (PACKAGE / "domain").rglob("*.py"):
        roots = {name.split(".")[0] for name in imports_of(path)} - {NAME}
        foreign = {root for root in roots if root not in sys.stdlib_module_names}
        assert foreign <= DOMAIN_NEEDS_ONLY, named(path)
        assert not roots & forbidden, named(path)


def reads_environment(path: Path) -> list[int]:
    lines = []
    for node in ast.walk(tree_of(path)):
        is_attribute = (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "os"
            and node.attr in {"environ", "environb", "getenv", "getenvb"}
        )
        is_import = (
            isinstance(node, ast.ImportFrom)
            and node.module == "os"
            and any(
                alias.name in {"environ", "environb", "getenv", "getenvb"} for alias in node.names
            )
        )
        if is_attribute or is_import:
            lines.append(node.lineno)
    return lines


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_only_the_settings_read_the_environment(path):
    name = str(path.relative_to(PACKAGE))
    if name != "settings.py":
        reads = bool(reads_environment(path))
        assert reads is (name in HAND_THE_ENVIRONMENT_ON), f"{name} must take it from Settings"


def test_reading_the_environment_is_seen(tmp_path):
    for number, text in enumerate(("import os\nos.environ['X']", "from os import getenv")):
        probe = tmp_path / f"probe{number}.py"
        probe.write_text(text)
        assert reads_environment(probe)


def written_by_us(*patterns: str) -> list[Path]:
    folders = [PACKAGE, REPOSITORY / "tests", REPOSITORY / "benchmarks", REPOSITORY / "dbt"]
    return sorted(
        path
        for folder in folders
        for pattern in patterns
        for path in folder.rglob(pattern)
        if not {"target", "dbt_packages", "__pycache__"} & set(path.parts)
    )


@pytest.mark.parametrize("path", written_by_us("*.py"), ids=named)
def test_no_python_file_is_too_long(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= PY_LINES


def test_no_dbt_model_is_too_long():
    models = (REPOSITORY / "dbt" / "models").rglob("*.sql")
    long = [path for path in models if len(path.read_text("utf-8").splitlines()) > SQL_LINES]
    assert long == []


def test_names_say_what_a_file_is_for():
    vague = [
        named(path) for path in written_by_us("*.py", "*.sql") if VAGUE_NAMES.search(path.stem)
    ]
    assert vague == []
