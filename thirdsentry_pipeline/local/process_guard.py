"""Ends a child's whole process group when the process that asked for it is gone.

``python process_guard.py COMMAND …`` runs the command in its own group and reads stdin, a pipe
that the supervisor holds open: its end, even by a kill -9, ends the group. It runs as a file of
its own, on the standard library alone, so that it is up in milliseconds.
"""

import os
import signal
import subprocess
import sys
import threading
import time

PATIENCE_SECONDS = 10.0


def end_group_with_supervisor() -> None:
    """Wait for the end of stdin, then stop the group: politely first, then for good."""
    while os.read(0, 1024):
        pass
    os.killpg(0, signal.SIGTERM)
    time.sleep(PATIENCE_SECONDS)
    os.killpg(0, signal.SIGKILL)


def main(command: list[str]) -> int:
    """Run the command to its end; gives its exit code, 128 + n for signal n."""
    # The group is told to stop as a whole: the guard waits for the command to take its leave.
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.signal(signal.SIGINT, lambda *_: None)
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    threading.Thread(target=end_group_with_supervisor, daemon=True).start()
    code = process.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
