"""`python -m benchmarks [--full] [--only NAME …] [--write]`: measure, print, write RESULTS.md."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import accounts, coverage, daemon, growth, prowler, storage, ui
from benchmarks.lab import open_lab
from benchmarks.rows import Row, machine, seconds_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.lab import Lab

RESULTS = Path(__file__).with_name("RESULTS.md")
Section = tuple[str, "Callable[[Lab, bool], list[Row]]"]

SECTIONS: tuple[Section, ...] = (
    ("calls", lambda lab, _: accounts.calls_by_users(lab)),
    ("account", lambda lab, full: accounts.one_account(lab, 9 if full else 3)),
    ("accounts", lambda lab, full: accounts.hundred_accounts(lab, 5 if full else 3)),
    ("prowler", lambda lab, _: prowler.beside_prowler(lab)),
    ("daemon", lambda lab, full: daemon.through_the_daemon(lab, full=full)),
    ("storage", lambda lab, full: storage.dedupe_write(lab, 5 if full else 3)),
    ("coverage", lambda lab, full: coverage.coverage(lab, 5_000_000, 51 if full else 21)),
    ("growth", lambda lab, full: growth.growth(lab, full=full)),
    ("ui", lambda lab, full: ui.ui(lab, 1_000, 90 if full else 3)),
)


def main() -> None:
    """Measure every section, or the named ones, and write the results of a whole run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--full", action="store_true", help="the sizes of the reaches; longer")
    parser.add_argument("--only", nargs="+", choices=[name for name, _ in SECTIONS])
    parser.add_argument("--write", action="store_true", help="write RESULTS.md also with --only")
    arguments = parser.parse_args()
    logging.getLogger().setLevel(logging.ERROR)
    rows: list[Row] = []
    with open_lab() as lab:
        for name, measure in SECTIONS:
            if arguments.only and name not in arguments.only:
                continue
            found: list[Row] = []
            took = seconds_of(lambda: found.extend(measure(lab, arguments.full)))  # noqa: B023
            sys.stderr.write(f"{name}: {took:.0f} s\n")
            for row in found:
                print(f"{row.what}: {row.measured}  {row.reach}  {row.verdict}", flush=True)
            rows += found
    if arguments.write or not arguments.only:
        given = " ".join(sys.argv[1:])
        options = f" ARGS='{given}'" if given else ""
        RESULTS.write_text(page(rows, options), encoding="utf-8")


def page(rows: list[Row], options: str) -> str:
    """The results as a page, with where and how they were measured."""
    load = " / ".join(f"{one:.1f}" for one in os.getloadavg())
    lines = [
        "# Results",
        "",
        (
            f"Written by `make bench{options}` on "
            f"{datetime.now(UTC):%Y-%m-%d} on {machine()}; load at the end (1 / 5 / 15 minutes): "
            f"{load}, the benchmark's own included. Medians of several repetitions, those "
            "compared in turns in one run, against the loopback stub (50 ms a call, 17 regions, "
            "100 IAM users "
            "unless the row says otherwise)."
        ),
        "",
        "| what | measured | reach | met |",
        "|---|---|---|---|",
        *(f"| {row.what} | {row.measured} | {row.reach} | {row.verdict} |" for row in rows),
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
