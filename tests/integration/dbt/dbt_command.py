"""Running dbt as the product does: in a child process, with the transform login."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from tests.warm_dbt import DbtProcess

if TYPE_CHECKING:
    import subprocess

    from tests.databases import WarehouseDatabase

PROJECT = Path(__file__).resolve().parents[3] / "dbt"


@dataclass(frozen=True)
class DbtProject:
    """A dbt project against one test database; artifacts stay out of the source tree."""

    database: WarehouseDatabase
    artifacts: Path
    directory: Path = PROJECT

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one command to its end, whatever that is."""
        return self.start(*arguments).finish()

    def start(self, *arguments: str) -> DbtProcess:
        """Start one command and don't wait for it."""
        url = urlsplit(self.database.transform_url)
        return DbtProcess(
            ["--no-use-colors", "--quiet", *arguments],
            self.directory,
            {
                "PATH": os.environ["PATH"],
                "HOME": str(self.artifacts),
                "DBT_PROFILES_DIR": str(self.directory),
                "DBT_TARGET_PATH": str(self.artifacts / "target"),
                "DBT_LOG_PATH": str(self.artifacts / "logs"),
                "DBT_LOG_LEVEL_FILE": "none",
                "THIRDSENTRY_DBT_HOST": str(url.hostname),
                "THIRDSENTRY_DBT_PORT": str(url.port),
                "THIRDSENTRY_DBT_USER": unquote(str(url.username)),
                "THIRDSENTRY_DBT_PASSWORD": unquote(str(url.password)),
                "THIRDSENTRY_DBT_DBNAME": url.path.lstrip("/"),
            },
            self.artifacts,
        )

    def succeed(self, *arguments: str) -> str:
        """Run a command that has to succeed; returns its output."""
        finished = self.run(*arguments)
        assert finished.returncode == 0, finished.stdout + finished.stderr
        return finished.stdout

    def fail(self, *arguments: str) -> str:
        """Run a command that has to fail; returns its output."""
        finished = self.run(*arguments)
        assert finished.returncode != 0, finished.stdout
        return finished.stdout

    def beside(self, directory: Path) -> DbtProject:
        """A project with the same settings and macros and no models, to try some out."""
        for name in ("dbt_project.yml", "profiles.yml"):
            shutil.copy(self.directory / name, directory)
        shutil.copytree(self.directory / "macros", directory / "macros")
        (directory / "models").mkdir()
        shutil.copy(self.directory / "models" / "groups.yml", directory / "models")
        return DbtProject(self.database, directory, directory)
