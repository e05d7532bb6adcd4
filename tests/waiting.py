"""Waiting for what another thread or process does."""

import time

SECONDS = 120


def until(condition, seconds=SECONDS):
    """Return once the condition holds."""
    give_up_at = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up_at, "it did not happen in time"
        time.sleep(0.05)
