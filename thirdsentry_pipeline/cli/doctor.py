"""``thirdsentry doctor``: is everything that the pipeline leans on there?"""

from importlib import import_module
from typing import Annotated

import typer

from thirdsentry_pipeline.cli.checks import Check, examine_quickly
from thirdsentry_pipeline.cli.options import AsJson
from thirdsentry_pipeline.cli.output import print_json, results, table_of
from thirdsentry_pipeline.domain.errors import InputError
from thirdsentry_pipeline.local.database import running_database
from thirdsentry_pipeline.settings import Settings

Deep = Annotated[
    bool,
    typer.Option("--deep", help="Also check every invariant over every row, as administrator."),
]
Quick = Annotated[
    bool,
    typer.Option("--quick", help="Only whether the daemon lives and its work is done."),
]


def doctor(deep: Deep = False, quick: Quick = False, as_json: AsJson = False) -> None:
    """Check Postgres, migrations, dbt, KMS, the clock, the daemon, schedules and last runs."""
    if deep and quick:
        message = "--deep and --quick exclude each other: a watchdog asks --quick."
        raise InputError(message)
    settings = Settings.from_environment()
    checks = examine_quickly(settings) if quick else examine_all(settings, deep=deep)
    is_well = all(check.ok for check in checks)
    if as_json:
        print_json({"ok": is_well, "checks": checks})
    else:
        rows = [
            {"check": one.check, "state": "ok" if one.ok else "failed", "detail": one.detail}
            for one in checks
        ]
        headings = {"check": "check", "state": "state", "detail": "what was found"}
        results().print(table_of("thirdsentry doctor", headings, rows))
    if not is_well:
        raise typer.Exit(1)


def examine_all(settings: Settings, *, deep: bool) -> list[Check]:
    """Everything; its modules import Dagster, which takes seconds that a probe does not have."""
    with running_database(settings):
        if deep:
            settings.login_url("admin")
        checks: list[Check] = import_module("thirdsentry_pipeline.cli.diagnosis").examine(settings)
        if deep:
            deeply = import_module("thirdsentry_pipeline.cli.deep_diagnosis")
            checks += deeply.examine_deeply(settings)
    return checks
