"""A headless Chromium, driven over its debugging protocol."""  # noqa: INP001 - beside the pages

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from websockets.sync.client import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DEADLINE_SECONDS = 300
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--hide-scrollbars",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
    "about:blank",
]


def wait_for(happened: Callable[[], Any], what: str) -> Any:
    """The first true answer; raises TimeoutError naming what never happened."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        if answer := happened():
            return answer
        time.sleep(0.3)
    message = f"waited {DEADLINE_SECONDS} s for {what}"
    raise TimeoutError(message)


@contextmanager
def child(command: list[str], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is interrupted at the end, and killed when that does not help."""
    process = subprocess.Popen(command, start_new_session=True, **options)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


class Browser:
    """One tab of a headless Chromium, driven over its debugging protocol."""

    def __init__(self, address: str) -> None:
        self._socket = connect(address, max_size=None)
        self._sent = 0
        self._session: str | None = None
        target = self.do("Target.createTarget", url="about:blank")["targetId"]
        attached = self.do("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        # Dagster's own navigation takes a sixth of every picture.
        collapsed = "localStorage.setItem('dagster-nav-collapsed', 'true')"
        self.do("Page.enable")
        self.do("Page.addScriptToEvaluateOnNewDocument", source=f"try {{{collapsed}}} catch {{}}")

    def do(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and wait for its answer; events pass by unread."""
        self._sent += 1
        message: dict[str, Any] = {"id": self._sent, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        self._socket.send(json.dumps(message))
        while True:
            answer = json.loads(self._socket.recv(timeout=60))
            if answer.get("id") == self._sent:
                if "error" in answer:
                    raise RuntimeError(answer["error"]["message"])
                return dict(answer["result"])

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page."""
        answer = self.do("Runtime.evaluate", expression=expression, returnByValue=True)
        return answer["result"].get("value")

    def open(self, url: str, shown: str, size: tuple[int, int]) -> None:
        """Go to a page and wait until it shows a text and has stopped changing."""
        self._resize(*size)
        self.do("Page.navigate", url=url)
        # A page that is not there yet has no body, and its text is undefined.
        text = "document.body?.innerText ?? ''"
        wait_for(lambda: shown in (self.evaluate(text) or ""), f"{shown!r} on {url}")
        self.settle()

    def settle(self) -> None:
        """Wait until two looks two seconds apart see the same."""

        def is_still() -> bool:
            before = self.evaluate("document.body.innerHTML.length")
            time.sleep(2)
            return bool(before == self.evaluate("document.body.innerHTML.length"))

        wait_for(is_still, "the page to stand still")

    def fit(self) -> None:
        """Make the window as high as the page."""
        width, height = self.evaluate("[innerWidth, document.body.offsetHeight]")
        self._resize(width, height)

    def picture(self) -> bytes:
        """What is seen, as a PNG."""
        return base64.b64decode(self.do("Page.captureScreenshot", format="png")["data"])

    def _resize(self, width: int, height: int) -> None:
        self.do(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """A Chromium with a profile of its own."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        message = "Chromium is not installed: apt-get install chromium"
        raise SystemExit(message)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    port_file = profile / "DevToolsActivePort"
    with child([program, f"--user-data-dir={profile}", *FLAGS], **quiet):
        wait_for(lambda: port_file.exists() and port_file.read_text().count("\n"), "Chromium")
        port, path = port_file.read_text().splitlines()
        yield Browser(f"ws://127.0.0.1:{port}{path}")
