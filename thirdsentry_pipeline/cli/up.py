"""``thirdsentry up``: the product on real AWS."""

from thirdsentry_pipeline.cli.options import AsJson, UiPort
from thirdsentry_pipeline.cli.output import messages, print_json, progress_lines
from thirdsentry_pipeline.cli.serving import serve_until_interrupt
from thirdsentry_pipeline.cli.views import ensure_views_of
from thirdsentry_pipeline.local.database import running_database
from thirdsentry_pipeline.local.processes import HOST, require_free_port
from thirdsentry_pipeline.operations.database import (
    prepare_database,
    require_prepared,
    require_safe_logins,
)
from thirdsentry_pipeline.operations.services import platform_for
from thirdsentry_pipeline.operations.startup import require_true_time
from thirdsentry_pipeline.settings import Settings


def up(port: UiPort = 3000, as_json: AsJson = False) -> None:
    """Serve the Dagster UI and daemon on the migrated warehouse, against real AWS."""
    require_free_port(port)
    report = progress_lines()
    settings = Settings.from_environment()
    for sentence in missing_settings(settings):
        messages().print(sentence, style="yellow")
    report("Starting Postgres and migrating the warehouse")
    with running_database(settings):
        if settings.is_embedded or settings.admin_database_url:
            prepare_database(settings)
        require_safe_logins(settings)
        require_true_time(require_prepared(settings), lambda: platform_for(settings))
        report("Looking at the coverage views")
        ensure_views_of(settings)
        if as_json:
            print_json({"url": f"http://{HOST}:{port}", "home": str(settings.home)})
        serve_until_interrupt(settings, port, report)


def missing_settings(settings: Settings) -> list[str]:
    """What has to be set before an account can be connected or read; history shows without."""
    sentences = []
    if settings.kms_key_id is None:
        sentences.append(
            "THIRDSENTRY_KMS_KEY_ID is not set: no account can be connected or read until it is."
        )
    if settings.principal_arn is None:
        sentences.append(
            "THIRDSENTRY_PRINCIPAL_ARN is not set: no customer can be onboarded until it is."
        )
    return sentences
