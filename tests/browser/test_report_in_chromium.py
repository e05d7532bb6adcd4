"""The report in a real browser: it fits a phone, a tablet and a desk, prints, and loads nothing."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from urllib.parse import unquote

import pytest

from tests.browser.states import STATES, write_pages

WIDTHS = (335, 375, 820, 1280)
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # A page of the test's own measures the report, which runs no scripts itself.
    "--allow-file-access-from-files",
)
# Frames are as wide as the screens are, so the report takes each for its own.
RULER = """
<!DOCTYPE html><title>ruler</title><body>
<script>
const frames = %s.flatMap(page => %s.map(width => {
  const frame = document.createElement("iframe");
  Object.assign(frame, {src: page, width, height: 900});
  document.body.append(frame);
  return {page, width, frame};
}));
window.onload = () => {
  const told = frames.map(({page, width, frame}) => {
    const root = frame.contentDocument.documentElement;
    for (const details of root.querySelectorAll("details")) details.open = true;
    const small = [...root.querySelectorAll("main *")].filter(
      one => one.textContent.trim() && parseFloat(getComputedStyle(one).fontSize) < 11
        && !one.closest("svg"));
    return {
      page, width,
      overflow: root.scrollWidth - root.clientWidth,
      small: small.map(one => one.outerHTML.slice(0, 80)),
      requests: frame.contentWindow.performance.getEntriesByType("resource").map(one => one.name),
    };
  });
  document.body.innerHTML = `<pre id=told>${encodeURIComponent(JSON.stringify(told))}</pre>`;
};
</script>
"""

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium on this machine: apt-get install chromium"
)


def browse(profile, *arguments):
    return subprocess.run(
        [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    ).stdout


def test_every_state_fits_every_screen_and_loads_nothing(tmp_path):
    pages = [page.as_uri() for page in write_pages(tmp_path)]
    ruler = tmp_path / "ruler.html"
    ruler.write_text(RULER % (json.dumps(pages), json.dumps(WIDTHS)), encoding="utf-8")
    dom = browse(tmp_path / "profile", "--dump-dom", "--timeout=60000", ruler.as_uri())
    told = json.loads(unquote(re.search(r'id="told">([^<]+)', dom)[1]))
    assert len(told) == len(STATES) * len(WIDTHS)
    for one in told:
        assert one["overflow"] <= 0, one
        assert one["small"] == [], one
        assert one["requests"] == [], one


def test_report_prints(tmp_path):
    page = next(one for one in write_pages(tmp_path) if one.stem == "of_every_kind")
    paper = tmp_path / "report.pdf"
    browse(tmp_path / "profile", "--no-pdf-header-footer", f"--print-to-pdf={paper}", page.as_uri())
    content = paper.read_bytes()
    assert content.startswith(b"%PDF")
    assert 5 <= len(re.findall(rb"/Type\s*/Page\b", content)) <= 15
