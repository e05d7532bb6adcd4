"""SECURITY.md promises nothing that no test proves."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMED = sorted(
    set(
        re.findall(
            r"`((?:unit|integration)/[\w/]+\.py(?:::\w+)?)`", (ROOT / "SECURITY.md").read_text()
        )
    )
)


@pytest.mark.parametrize("name", NAMED)
def test_every_proof_named_on_the_page_exists(name):
    path, _, function = name.partition("::")
    tree = ast.parse((ROOT / "tests" / path).read_text())
    tests = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    assert function in tests if function else any(test.startswith("test_") for test in tests)


def test_every_promise_names_its_proof():
    rows = [
        line for line in (ROOT / "SECURITY.md").read_text().splitlines() if line.startswith("| ")
    ]
    promises = [row for row in rows if not row.startswith("| promise |")]
    assert promises
    assert [row for row in promises if ".py" not in row.rsplit("|", 2)[1]] == []
