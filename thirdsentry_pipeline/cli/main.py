"""The ``thirdsentry`` command: wiring, exit codes and the one sentence per error.

A command's module is imported when it is called (``cli.lazy``).
"""

import signal
import sys
import traceback
from collections.abc import Sequence
from types import FrameType
from typing import Annotated

import typer
from rich.markup import escape

from thirdsentry_pipeline.cli.errors import INTERRUPTED, describe
from thirdsentry_pipeline.cli.lazy import LazyGroup
from thirdsentry_pipeline.cli.output import messages

app = typer.Typer(name="thirdsentry", cls=LazyGroup, no_args_is_help=True, add_completion=False)


@app.callback()
def thirdsentry(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error; may stand anywhere.")
    ] = False,
) -> None:
    """Continuous compliance evidence from AWS, fingerprinted and never silently stale."""


def main() -> None:
    """Run the command line of this process and exit with the contract's code."""
    # SIGINT too: a shell starts background jobs with it ignored, and Python keeps that.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    sys.exit(run(sys.argv[1:]))


def interrupt(_signal: int, _frame: FrameType | None) -> None:
    """Let Ctrl-C, a polite kill and a closed terminal unwind everything alike."""
    raise KeyboardInterrupt


def run(arguments: Sequence[str]) -> int:
    """Run one command; returns its exit code and never raises.

    ``--debug`` may stand anywhere: it is taken out before the command sees its arguments.
    """
    debug = "--debug" in arguments
    try:
        outcome = app(
            [argument for argument in arguments if argument != "--debug"],
            prog_name="thirdsentry",
            standalone_mode=False,
        )
        code = outcome if isinstance(outcome, int) else 0
    except KeyboardInterrupt:
        code = INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the boundary: any error becomes one sentence
        sentence, code = describe(error)
        if debug:
            traceback.print_exception(error)
        messages().print(escape(sentence), style="red")
    if code == INTERRUPTED:
        messages().print("Stopped before it was done; the next start carries on.")
    return code
