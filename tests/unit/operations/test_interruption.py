"""Who waits for what others do can be told to stop."""

import signal
import threading
from queue import SimpleQueue

import pytest

from thirdsentry_pipeline.operations import interruption
from thirdsentry_pipeline.operations.interruption import take

SECONDS = 10


def test_what_ended_first_comes_first():
    ended = SimpleQueue()
    ended.put("first")
    ended.put("second")
    assert [take(ended), take(ended)] == ["first", "second"]


def test_a_signal_that_wakes_nobody_is_heard_all_the_same(monkeypatch):
    monkeypatch.setattr(interruption, "_LOOK_UP_SECONDS", 0.01)
    waiting = threading.Event()

    class Ended(SimpleQueue):
        def get(self, **more):
            waiting.set()
            return super().get(**more)

    ended = Ended()

    def other_thread():
        waiting.wait(SECONDS)
        # Handed to this thread, as the system may: the one that waits sleeps on.
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)

    too_late = threading.Timer(SECONDS, ended.put, ["something"])
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        threading.Thread(target=other_thread).start()
        too_late.start()
        with pytest.raises(KeyboardInterrupt):
            take(ended)
        assert too_late.is_alive()
    finally:
        too_late.cancel()
        signal.signal(signal.SIGINT, before)
