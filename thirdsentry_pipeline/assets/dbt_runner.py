"""Running dbt with the transform login, whose password goes to the child process alone."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from filelock import FileLock

from thirdsentry_pipeline.domain.errors import ConfigurationError, ThirdSentryError
from thirdsentry_pipeline.settings import Settings

PROJECT_DIR = Path(__file__).resolve().parents[2] / "dbt"
TARGET_DIR = PROJECT_DIR / "target"
MANIFEST = TARGET_DIR / "manifest.json"
SOURCES = ("dbt_project.yml", "profiles.yml", "models", "macros", "seeds", "tests")
DBT = str(Path(sys.executable).with_name("dbt"))
PARTIAL_PARSE = "partial_parse.msgpack"
TAIL_LINES = 20
LOCK_TIMEOUT_SECONDS = 15
TLS_OPTIONS = {"sslmode": "THIRDSENTRY_DBT_SSLMODE", "sslrootcert": "PGSSLROOTCERT"}
"""Options of a database URL that must hold for dbt's connection too."""


def dbt_environment(settings: Settings) -> dict[str, str]:
    """The variables that ``dbt/profiles.yml`` reads, from the transform login's URL.

    Raises:
        ConfigurationError: the login was not made or the embedded server is not running.
    """
    url = urlsplit(settings.login_url("transform"))
    environment = {
        "THIRDSENTRY_DBT_HOST": url.hostname or "127.0.0.1",
        "THIRDSENTRY_DBT_PORT": str(url.port or 5432),
        "THIRDSENTRY_DBT_USER": unquote(url.username or ""),
        "THIRDSENTRY_DBT_PASSWORD": unquote(url.password or ""),
        "THIRDSENTRY_DBT_DBNAME": unquote(url.path.lstrip("/")),
        # Whoever waits for a reader's open transaction makes every later reader wait as well.
        "PGOPTIONS": f"-c lock_timeout={LOCK_TIMEOUT_SECONDS}s",
        # A sixth of dbt's CPU went into a log that goes away with the command's directory.
        "DBT_LOG_LEVEL_FILE": "none",
    }
    for option, variable in TLS_OPTIONS.items():
        values = parse_qs(url.query).get(option)
        if values:
            environment[variable] = values[0]
    return environment


def run_dbt(settings: Settings, args: Sequence[str]) -> None:
    """Run one dbt command, such as ``["build"]``, with artifacts in a directory of its own.

    Raises:
        ThirdSentryError: dbt failed; the text ends with the last lines of its output.
    """
    with target_directory(settings) as target:
        _dbt(args, target, dbt_environment(settings))


@contextmanager
def target_directory(settings: Settings) -> Iterator[Path]:
    """A directory for one dbt command's artifacts, with what the last one parsed.

    dbt parses only what changed since, which saves most of its start. Commands that run at the
    same time don't share the directory, and the last to succeed leaves its parse.
    """
    home = settings.home / "dbt"
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    kept = home / PARTIAL_PARSE
    with tempfile.TemporaryDirectory(prefix="run-", dir=home) as name:
        target = Path(name)
        if kept.is_file():
            shutil.copy(kept, target)
        yield target
        if (target / PARTIAL_PARSE).is_file():
            (target / PARTIAL_PARSE).replace(kept)


def prepared_manifest() -> Path:
    """The dbt manifest, parsed anew only when a file of the project is younger than it.

    Processes that start together wait for one of them; readers see the old manifest or the
    new one, never half of it.

    Raises:
        ConfigurationError: the dbt project is not beside the package.
        ThirdSentryError: the project does not parse.
    """
    if not (PROJECT_DIR / "dbt_project.yml").is_file():
        message = f"The dbt project is not at {PROJECT_DIR}: install the package from a checkout."
        raise ConfigurationError(message)
    if _is_current():
        return MANIFEST
    TARGET_DIR.mkdir(exist_ok=True)
    with FileLock(TARGET_DIR / "manifest.lock"):
        if not _is_current():
            with tempfile.TemporaryDirectory(prefix="parse-", dir=TARGET_DIR) as target:
                began = time.time()
                _dbt(["parse"], Path(target), {})
                made = Path(target, MANIFEST.name)
                # A file that was edited while dbt was parsing must count as younger.
                os.utime(made, (began, began))
                made.replace(MANIFEST)
    return MANIFEST


def _is_current() -> bool:
    if not MANIFEST.is_file():
        return False
    made = MANIFEST.stat().st_mtime
    return all(path.stat().st_mtime <= made for path in _project_files())


def _project_files() -> list[Path]:
    roots = [PROJECT_DIR / name for name in SOURCES]
    # A directory's own time tells of files that were added or taken away.
    return [path for root in roots if root.exists() for path in (root, *root.rglob("*"))]


def _dbt(args: Sequence[str], target: Path, environment: Mapping[str, str]) -> None:
    finished = subprocess.run(
        [DBT, "--no-use-colors", "--no-send-anonymous-usage-stats", *args],
        cwd=PROJECT_DIR,
        env={
            **os.environ,
            **environment,
            "DBT_PROJECT_DIR": str(PROJECT_DIR),
            "DBT_PROFILES_DIR": str(PROJECT_DIR),
            "DBT_TARGET_PATH": str(target),
            "DBT_LOG_PATH": str(target),
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if finished.returncode != 0:
        tail = "\n".join(finished.stdout.splitlines()[-TAIL_LINES:])
        message = f"dbt {args[0]} failed:\n{tail}"
        raise ThirdSentryError(message)
