"""The ``thirdsentry`` command: wiring, exit codes and the one sentence per error.

A command's module is imported when it is called (``cli.lazy``).
"""

import gc
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.markup import escape

from thirdsentry_pipeline.cli.errors import INTERRUPTED, describe
from thirdsentry_pipeline.cli.lazy import LazyGroup
from thirdsentry_pipeline.cli.output import messages
from thirdsentry_pipeline.local.interrupts import remember_interrupts, was_interrupted

# At Python's own threshold, a tenth to a quarter of the time in which a command imports what it
# needs goes into looking for garbage that imports don't make.
_GARBAGE_THRESHOLD = 50_000

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
    gc.set_threshold(_GARBAGE_THRESHOLD)
    remember_interrupts()
    sys.exit(run(sys.argv[1:]))


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
        if debug:
            traceback.print_exception(error)
        code = INTERRUPTED if was_interrupted() else tell(error)
    if code == INTERRUPTED:
        messages().print("Stopped before it was done; the next start carries on.")
    return code


def tell(error: Exception) -> int:
    """Print the error's sentence; returns its exit code."""
    sentence, code = describe(error)
    messages().print(escape(sentence), style="red")
    return code
