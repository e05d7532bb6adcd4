"""Print what is installed here and not needed to run the product, one name per line.

The lock holds everything that developers use too; the image takes these away again, pip last.
"""

import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"


def needed(requirements: Iterable[str], extras: frozenset[str], seen: set[object]) -> set[str]:
    """Names of the requirements and of everything those require in turn."""
    found: set[str] = set()
    for requirement in map(Requirement, requirements):
        name = canonicalize_name(requirement.name)
        marker = requirement.marker
        applies = marker is None or any(marker.evaluate({"extra": one}) for one in {"", *extras})
        key = (name, frozenset(requirement.extras))
        if not applies or key in seen:
            continue
        seen.add(key)
        try:
            requires = distribution(name).requires or []
        except PackageNotFoundError:
            continue
        found |= {name} | needed(requires, frozenset(requirement.extras), seen)
    return found


def development_packages() -> list[str]:
    """Installed packages outside of what the project's dependencies need; pip at the end."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    keep = needed(project["dependencies"], frozenset(), set()) | {project["name"]}
    installed = {canonicalize_name(one.metadata["Name"]) for one in distributions()}
    return sorted(installed - keep, key=lambda name: (name == "pip", name))


if __name__ == "__main__":
    sys.stdout.writelines(f"{name}\n" for name in development_packages())
