"""Coverage by the steps in which evidence goes stale."""

from __future__ import annotations

from thirdsentry_pipeline.warehouse.migrations.execute import refuse_downgrade, run_sql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Keep a connection's steps beside the states they follow from."""
    run_sql("0009_steps.sql")


def downgrade() -> None:
    """Refuse."""
    refuse_downgrade()
