"""``thirdsentry sandbox``: the loopback AWS alone."""

import shlex
from typing import Annotated

import typer

from thirdsentry_pipeline.cli.options import AsJson
from thirdsentry_pipeline.cli.output import messages, print_json, print_line
from thirdsentry_pipeline.domain.errors import ThirdSentryError
from thirdsentry_pipeline.local.processes import answers, require_free_port, wait_for_interrupt
from thirdsentry_pipeline.local.sandbox_process import SandboxProcess
from thirdsentry_pipeline.settings import Settings

SANDBOX_PORT = 5566


def sandbox(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on 127.0.0.1.")] = SANDBOX_PORT,
    as_json: AsJson = False,
) -> None:
    """Serve the loopback AWS sandbox alone, until Ctrl-C."""
    settings = Settings.from_environment()
    require_free_port(port)
    with SandboxProcess(settings.home, port) as running:
        if as_json:
            print_json(
                {"endpoint_url": running.endpoint_url, "environment": dict(running.environment)}
            )
        else:
            for line in export_lines(running.environment):
                print_line(line)
            messages().print(
                f"The sandbox answers on {running.endpoint_url}; the lines above point any "
                "terminal at it. Ctrl-C stops it."
            )
        wait_for_interrupt(lambda: require_answer(running.endpoint_url))


def require_answer(endpoint_url: str) -> None:
    """Raise ThirdSentryError when the sandbox is gone."""
    if not answers(f"{endpoint_url}/_sandbox/ready"):
        message = f"The sandbox on {endpoint_url} ended by itself: start it again."
        raise ThirdSentryError(message)


def export_lines(environment: dict[str, str]) -> list[str]:
    """What a shell evaluates to reach the sandbox."""
    return [f"export {name}={shlex.quote(value)}" for name, value in environment.items()]
