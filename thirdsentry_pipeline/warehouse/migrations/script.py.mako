"""${message}."""

from thirdsentry_pipeline.warehouse.migrations.execute import refuse_downgrade, run_sql

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Run this revision's SQL."""
    run_sql("${up_revision}.sql")


def downgrade() -> None:
    """Refuse."""
    refuse_downgrade()
