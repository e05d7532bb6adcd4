"""Waiting for what another thread or process does, and not waiting at all."""

import time

from thirdsentry_pipeline.aws.transport import Transport

SECONDS = 120


def until(condition, seconds=SECONDS):
    """Return once the condition holds."""
    give_up_at = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up_at, "it did not happen in time"
        time.sleep(0.05)


def retry_at_once(monkeypatch):
    """Attempts at a call to AWS follow each other without a pause, botocore's and ours."""
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    monkeypatch.setattr(Transport, "pause", lambda *_: None)
