"""``thirdsentry doctor``: is everything that the pipeline leans on there?"""

from typing import Annotated

import typer

from thirdsentry_pipeline.cli.deep_diagnosis import examine_deeply
from thirdsentry_pipeline.cli.diagnosis import examine
from thirdsentry_pipeline.cli.options import AsJson
from thirdsentry_pipeline.cli.output import print_json, results, table_of
from thirdsentry_pipeline.local.database import running_database
from thirdsentry_pipeline.settings import Settings

Deep = Annotated[
    bool,
    typer.Option("--deep", help="Also check every invariant over every row, as administrator."),
]


def doctor(deep: Deep = False, as_json: AsJson = False) -> None:
    """Check Postgres, migrations, dbt, KMS, the clock, the daemon, schedules and last runs."""
    with running_database(Settings.from_environment()) as settings:
        if deep:
            settings.login_url("admin")
        checks = examine(settings)
        if deep:
            checks += examine_deeply(settings)
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
