"""Takes the pictures of ``docs/images``: ``.venv/bin/python docs/screenshots.py``.

Needs Chromium (Debian: ``apt-get install chromium``). It runs a demo of its own in a temporary
home, lets one customer close its role so that there is a failure to show, and ends everything.
"""  # noqa: INP001 - a script beside the pages, no package

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from chromium import Browser, browser, child, wait_for
from rich.console import Console
from rich.text import Text

from thirdsentry_pipeline.local.demo_accounts import DEMO_ORGANIZATIONS, DemoOrganization
from thirdsentry_pipeline.local.sandbox_client import SandboxAdmin

if TYPE_CHECKING:
    from collections.abc import Iterator

IMAGES = Path(__file__).with_name("images")
THIRDSENTRY = str(Path(sys.executable).with_name("thirdsentry"))
HEALTHY, WITH_GAPS, DENIED = DEMO_ORGANIZATIONS
COLUMNS = 130
TERMINAL = (
    "<!doctype html><meta charset=utf-8><style>"
    "body{{margin:0;background:{background};color:{foreground}}}"
    "pre{{margin:12px 16px;font:13px/1.17 'DejaVu Sans Mono',monospace}}{stylesheet}</style>"
    "<pre>{code}</pre>"
)
PAGE, WIDE, FLAT = (1280, 860), (1500, 860), (1640, 640)
"""Windows in pixels: the usual one, one for graphs, one for lists of long names."""


@contextmanager
def demo(home: Path, port: int) -> Iterator[dict[str, str]]:
    """The demo with its UI; yields the environment in which commands reach it."""
    environment = {**os.environ, "THIRDSENTRY_HOME": str(home)}
    output = home / "demo.out"
    command = [THIRDSENTRY, "demo", "--port", str(port)]
    with (
        output.open("wb") as sink,
        child(command, env=environment, stdout=sink, stderr=sink) as process,
    ):
        wait_for(
            lambda: "Dagster UI:" in output.read_text() or process.poll() is not None, "the demo"
        )
        if process.poll() is not None:
            sys.exit(output.read_text())
        lines = (home / "sandbox.env").read_text().splitlines()
        exports = (shlex.split(line)[1].partition("=") for line in lines)
        yield {**environment, **{name: value for name, _, value in exports}}


def coverage_page(environment: dict[str, str], home: Path) -> Path:
    """The table of ``thirdsentry coverage`` as a page that looks like a terminal."""
    asked = ["--organization", WITH_GAPS.organization_id, "--framework", "soc2"]
    printed = subprocess.run(
        [THIRDSENTRY, "coverage", *asked],
        env=environment | {"FORCE_COLOR": "1", "COLUMNS": str(COLUMNS)},
        capture_output=True,
        text=True,
        check=True,
    )
    page = home / "table.html"
    with (home / "table.txt").open("w") as unread:
        console = Console(record=True, width=COLUMNS, file=unread)
        console.print(Text.from_ansi(printed.stdout))
    page.write_text(console.export_html(code_format=TERMINAL))
    return page


def sync(environment: dict[str, str], organization: DemoOrganization) -> str:
    """Collect once more, however that ends, and give the id of the Dagster run."""
    asked = ["--organization", organization.organization_id, "--json"]
    finished = subprocess.run(
        [THIRDSENTRY, "sync", *asked], env=environment, capture_output=True, check=False
    )
    return str(json.loads(finished.stdout)["dagster_run_id"])


def take(tab: Browser, ui: str, environment: dict[str, str], home: Path) -> None:
    """All pictures, in an order in which the last ones may break things."""
    today = datetime.now(UTC).date()
    root_mfa, cloudtrail = (
        f"{ui}/assets/aws/{name}" for name in ("iam_root_mfa", "cloudtrail_multi_region_logging")
    )

    def save(name: str) -> None:
        image = tab.picture()
        (IMAGES / f"{name}.png").write_bytes(image)
        sys.stdout.write(f"{name}.png {len(image) // 1024} KB\n")

    table = coverage_page(environment, home)
    tab.open(table.as_uri(), "CC6.1", (1060, 600))
    tab.fit()
    save("coverage-table")

    downstream = "view=lineage&lineageScope=downstream&lineageDepth=4"
    tab.open(f"{ui}/assets/aws/iam_mfa_coverage?{downstream}", "control_coverage", WIDE)
    save("asset-lineage")
    tab.open(f"{ui}/locations/thirdsentry/asset-groups/aws_evidence/list", "iam_root_mfa", FLAT)
    save("dagster-ui")
    tab.open(f"{root_mfa}?view=overview", "accounts_read", PAGE)
    save("asset-overview")
    tab.open(f"{root_mfa}?view=partitions", "Materialized", PAGE)
    save("partitions")
    missing = f"{today}%7C{DENIED.organization_id}"
    tab.open(f"{cloudtrail}?view=events&partition={missing}", "error_codes", PAGE)
    save("unread-partition")
    tab.open(f"{cloudtrail}?view=checks&checkDetail=reads_are_authorized", "sample", PAGE)
    save("failed-check")
    tab.open(f"{ui}/automation", "aws_evidence_daily", PAGE)
    save("automation")

    run_id = sync(environment, DENIED)
    tab.open(f"{ui}/runs/{run_id}", "RUN_SUCCESS", PAGE)
    save("partial-run")

    # From here on one customer's role is closed.
    admin = SandboxAdmin(environment["AWS_ENDPOINT_URL"])
    admin.inject_fault(WITH_GAPS.accounts[0].account_id, action="sts:AssumeRole")
    sync(environment, WITH_GAPS)
    failed = f"{today}%7C{WITH_GAPS.organization_id}"
    tab.open(f"{root_mfa}?view=partitions&partition={failed}", "Failed (1)", PAGE)
    save("failed-partition")


def main() -> None:
    """Start the demo and Chromium, take the pictures, end both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=3217, help="of the Dagster UI")
    port = parser.parse_args().port
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="thirdsentry-pictures-") as directory:
        home = Path(directory)
        # As root the embedded Postgres runs as another user, who has to pass through.
        home.chmod(0o711)
        with demo(home, port) as environment, browser(home / "chromium") as tab:
            take(tab, f"http://127.0.0.1:{port}", environment, home)


if __name__ == "__main__":
    main()
