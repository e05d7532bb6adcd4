"""The figures of a full run: counted while it runs, written into the page when it ends."""

import re
import subprocess
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs" / "reliability.md"
BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"
COUNTED = ("seeds", "answers", "days", "rounds")


def note_fault(item, guard):
    """Carry the test's fault numbers and its removed guard with its reports."""
    for mark in item.iter_markers("fault"):
        item.user_properties += [("fault", number) for number in mark.args]
    if guard is not None:
        item.user_properties.append(("guard", guard.name))


class Figures:
    """A pytest plugin of the process that sees all reports; writes the page at the end."""

    def __init__(self) -> None:
        self.tests = Counter()
        self.faults = {}
        self.guards = {}
        self.counted = Counter()

    def pytest_runtest_logreport(self, report):
        properties = report.user_properties
        guards = [value for name, value in properties if name == "guard"]
        faults = [value for name, value in properties if name == "fault"]
        for guard in guards:
            self.guards[guard] = self.guards.get(guard, True) and report.passed
        if not guards:
            for fault in faults:
                self.faults[fault] = self.faults.get(fault, True) and report.passed
        self.tests["failed"] += not report.passed
        if report.when == "teardown":
            self.tests["run"] += 1
            for name, value in properties:
                if name in COUNTED:
                    self.counted[name] += value

    def pytest_sessionfinish(self):
        if self.faults:
            write(self.rows())

    def rows(self):
        """Pairs of what was counted and how many."""
        held = sum(self.faults.values())
        shown = sum(self.guards.values())
        return [
            ("date", f"{datetime.now(UTC):%Y-%m-%d %H:%MZ}"),
            ("commit", commit()),
            ("faults held", f"{held} of {len(self.faults)} that can be injected on one machine"),
            ("guards shown: red without them", f"{shown} of {len(self.guards)}"),
            *((name, f"{self.counted[name]:,}") for name in COUNTED),
            ("tests", f"{self.tests['run']}, {self.tests['failed']} failed"),
        ]


def commit():
    """The short id of the commit that was tested."""
    asked = ["git", "describe", "--always", "--dirty"]
    finished = subprocess.run(asked, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    return finished.stdout.strip() or "unknown"


def write(rows, path=PAGE):
    """Replace what stands between the page's markers."""
    table = "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])
    page = path.read_text(encoding="utf-8")
    between = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    path.write_text(between.sub(f"{BEGIN}\n{table}\n{END}", page), encoding="utf-8")
