"""The table of commands agrees with the commands, and asking for help is cheap."""

import subprocess
import sys

import pytest

from thirdsentry_pipeline.cli.lazy import COMMANDS, load

HEAVY = ("dagster", "boto3", "sqlalchemy", "moto", "pandas", "alembic")


def leaves():
    for name in COMMANDS:
        command = load(name)
        yield from (
            (f"{name} {child}", leaf) for child, leaf in getattr(command, "commands", {}).items()
        )
        if not hasattr(command, "commands"):
            yield name, command


@pytest.mark.parametrize(("name", "command"), list(leaves()), ids=lambda value: str(value)[:30])
def test_every_command_takes_json_and_says_what_it_does(name, command):
    assert command.help, name
    assert "--json" in {option for parameter in command.params for option in parameter.opts}


def test_help_imports_nothing_heavy():
    program = (
        "import sys; from thirdsentry_pipeline.cli.main import run; code = run(['--help']);"
        f"print([name for name in {HEAVY!r} if name in sys.modules]); sys.exit(code)"
    )
    finished = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert finished.stdout.splitlines()[-1] == "[]"
    assert all(name in finished.stdout for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name, capfd):
    from thirdsentry_pipeline.cli.main import run  # noqa: PLC0415 - beside its only use

    assert run([name, "--help"]) == 0
    assert capfd.readouterr().err == ""
